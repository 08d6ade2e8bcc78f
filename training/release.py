#!/usr/bin/env python3
"""
Make a released model of trained weights: weights, float32 graph and float16 graph.

    python3 training/release.py runs/fast/best.safetensors fast
    python3 training/release.py runs/fast/best.safetensors fast --rain-free DATA/clean/camvid

The second sets the last bias so that the images in these folders come out as bright as they went
in; give some that were trained on. The weights are rounded to float16 once, so that all three
files hold the same numbers, and that of weights is half as large.
"""

import argparse
from collections.abc import Sequence
import os
from pathlib import Path
import sys
from tempfile import TemporaryDirectory

if not __package__:  # run as a file: lets this repository be imported
    import _root  # noqa: F401

import onnx
from safetensors.torch import save

from derain_ros.errors import DataError, ModelError
from derain_ros.media.videos import read_images
from derain_ros.model.export import frame_graph, load_network, write_graph
from derain_ros.model.graph import MODELS
from derain_ros.model.half import check_weights, halve
from training.loop.level import level


def release(
    weights: Path, name: str, folder: Path = MODELS, rain_free: Sequence[Path] = ()
) -> None:
    """
    Write ``name``.safetensors, ``name``.onnx and ``name``-fp16.onnx.

    :param rain_free: folders of images, or videos, by which to set the last bias.
    :raises ModelError: the weights cannot be read, or not be carried by float16.
    :raises DataError: there are no images in a folder.
    :raises OSError: a file cannot be written.
    """
    images = [image for path in rain_free for image in read_images(path)]
    network = load_network(weights).half().float()
    if images:
        level(network, images)
    network.half()
    rounded = save(network.state_dict(), {'shape': network.shape.to_json()})
    graph = frame_graph(network.float())
    half = onnx.ModelProto()
    half.CopyFrom(graph)
    check_weights(half, str(weights), 'fp16')
    halve(half)
    with TemporaryDirectory(dir=folder) as complete:
        write_graph(graph, Path(complete) / f'{name}.onnx')
        write_graph(half, Path(complete) / f'{name}-fp16.onnx')
        (Path(complete) / f'{name}.safetensors').write_bytes(rounded)
        # as late as can be: old and new weights side by side would be worse than either
        for file in Path(complete).iterdir():
            os.replace(file, folder / file.name)


def main() -> int:
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
    arguments = parser.parse_args()
    try:
        release(arguments.weights, arguments.name, arguments.folder, arguments.rain_free)
    except (DataError, ModelError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
