#!/usr/bin/env python3
"""
Make a released model of trained weights: one ONNX file, for the car and for training.

    python3 training/release.py runs/fast/best.safetensors fast
    python3 training/release.py runs/fast/best.safetensors fast --rain-free DATA/clean/camvid

    python3 training/release.py runs/fast/best.safetensors fast --clips DATA/video/still/yard.mp4

The second sets the last bias so that the images in these folders come out as bright as they went
in; give some that were trained on. The weights are rounded to float16, so that the float16 graph
that TensorRT runs holds the same numbers. The third releases nothing that makes real rain worse;
see evaluate_stills.py.
"""

import argparse
from collections.abc import Iterable, Sequence
import os
from pathlib import Path
import sys
from tempfile import TemporaryDirectory

if not __package__:  # run as a file: lets this repository be imported
    import _root  # noqa: F401

import numpy as np
import torch
from torch.nn import functional

from derain_ros.errors import ModelError
from derain_ros.media.videos import read_images
from derain_ros.model.export import export, load_network
from derain_ros.model.network import DerainNetwork
from derain_ros.model.released import MODELS, update_manifest
from training.commands import check_writable, command
from training.scores.evaluation import open_derainer
from training.scores.gate import evaluate_stills
from training.scores.stills import still_table


def release(
    weights: Path,
    name: str,
    folder: Path = MODELS,
    rain_free: Sequence[Path] = (),
    clips: Sequence[str] = (),
    dry: Path | None = None,
) -> None:
    """
    Write ``name``.onnx, and note its checksum.

    :param rain_free: folders of images, or videos, by which to set the last bias.
    :param clips, dry: that the graph has to pass, as evaluate_stills.py takes them.
    :raises GateError: it does not pass; nothing is released.
    :raises ModelError: the weights cannot be read, or not be carried by float16.
    :raises DataError: there are no images in a folder, or ``folder`` cannot be written to.
    :raises OSError: a file cannot be written.
    """
    check_writable(folder)
    network = _rounded(weights, [image for path in rain_free for image in read_images(path)])
    with TemporaryDirectory(dir=folder) as complete:
        path = Path(complete) / f'{name}.onnx'
        export(network, path)
        if clips or dry:
            with open_derainer(str(path)) as derain:
                result = evaluate_stills(derain, clips, dry)
            print(still_table(result.clips))
            result.check(str(weights))
        os.replace(path, folder / path.name)
    update_manifest(folder, [path.name])


def _rounded(weights: Path, rain_free: Sequence[np.ndarray]) -> DerainNetwork:
    """Return a trained network, rounded to float16, its last bias set by rain-free images."""
    network = load_network(weights).half().float()
    if rain_free:
        calibrate_bias(network, rain_free)
    network.half()
    for name, weight in network.state_dict().items():
        if not weight.isfinite().all():
            raise ModelError(
                f"{weights}: weight '{name}' is too large for float16; train the model anew"
            )
    return network.float()


def calibrate_bias(network: DerainNetwork, images: Iterable[np.ndarray]) -> None:
    """
    Shift the last bias by what the network changes in rain-free images; not the paper's.

    A shift of less than a grey level costs next to no loss, but rounded to 8 bits it moves every
    other pixel. The shift is the median over images of each image's median, because the mean
    would count what the network takes for streaks.

    :param network: float32; changed in place.
    :param images: rain-free, uint8 RGB [H, W, 3], of any sizes of 16 and more.
    """
    fold = network.shape.unshuffle
    medians = []
    for image in images:
        height, width = (side - side % fold for side in image.shape[:2])
        clean = torch.from_numpy(image[:height, :width]).permute(2, 0, 1)[None] / 255
        with torch.inference_mode():
            change = functional.pixel_unshuffle(network(clean) - clean, fold)
        medians.append(change[0].flatten(1).median(dim=1).values)
    shift = torch.stack(medians).median(dim=0).values
    bias = network.image_conversion.bias
    assert bias is not None
    with torch.no_grad():
        # a residual network gives the rain, which is taken away from the image
        bias += shift if network.shape.residual else -shift


@command
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('weights', type=Path, help='safetensors file that training wrote')
    parser.add_argument('name', help='by which the node is to find it')
    parser.add_argument('--folder', type=Path, default=MODELS, help='default: derain_ros/models')
    parser.add_argument(
        '--rain-free',
        type=Path,
        nargs='+',
        default=[],
        metavar='PATH',
        help='folders of images, or videos, that are to stay as bright as now',
    )
    parser.add_argument(
        '--clips',
        nargs='+',
        default=[],
        metavar='PATH[@FIRST]',
        help='videos of still cameras in rain, none of which may come out worse',
    )
    parser.add_argument('--dry', type=Path, help='video that may hardly change')
    arguments = parser.parse_args()
    release(
        arguments.weights,
        arguments.name,
        arguments.folder,
        arguments.rain_free,
        arguments.clips,
        arguments.dry,
    )


if __name__ == '__main__':
    sys.exit(main())
