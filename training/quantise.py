#!/usr/bin/env python3
r"""
Release the graph of a model with 8-bit convolutions, if it is as good and faster.

    python3 training/quantise.py fast --pairs DATA/rain_light DATA/rain_heavy DATA/rain_mixed \
        --clean DATA/clean/camvid DATA/clean/highway --dry DATA/video/driving_clean.mp4

The ranges of the 8-bit values come from the pairs that are trained on, and from the clean images.
The released graph and the new one are scored side by side on the validation pairs, dry frames and
pictures in black and white, and timed in turns; then NAME-int8.onnx is written, or an error says
what it fails at.
"""

import argparse
from collections.abc import Iterator, Sequence
import logging
import os
from pathlib import Path
import sys
from tempfile import TemporaryDirectory
from typing import TypeVar

if not __package__:  # run as a file: lets this repository be imported
    import _root  # noqa: F401

import nncf
from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters
from nncf.quantization.range_estimator import RangeEstimatorParametersSet
import numpy as np
import onnx

from derain_ros.errors import DataError, ModelError
from derain_ros.files import write_json
from derain_ros.media.images import image_files, read_image
from derain_ros.model.graph import (
    FIRST_WEIGHT,
    LAST_PARAMETERS,
    load_graph,
    UNITS,
    write_graph,
)
from derain_ros.model.half import is_half
from derain_ros.model.released import MODELS, update_manifest
from training.commands import check_writable, command
from training.data.pairs import read_pairs, VALIDATION
from training.scores.quantised import compare

Item = TypeVar('Item')

CROP_PX = 192
RAINY_CROPS, CLEAN_CROPS = 24, 8  # of each folder


def calibration_crops(pairs: Sequence[Path], clean: Sequence[Path]) -> list[np.ndarray]:
    """
    Cut crops from pairs that are trained on, and from clean images, spread evenly over each.

    :returns: uint8 RGB [H, W, 3], H and W at most CROP_PX.
    :raises DataError: a folder cannot be read, or holds validation pairs alone.
    """
    rng = np.random.default_rng(0)
    images: list[np.ndarray] = []
    for folder in pairs:
        trained = [pair for pair in read_pairs(folder) if pair.number not in VALIDATION]
        if not trained:
            raise DataError(f'{folder}: holds validation pairs alone; give what was trained on')
        images += [pair.rainy for pair in _spread(trained, RAINY_CROPS)]
        images += [pair.clean for pair in _spread(trained, CLEAN_CROPS)]
    for folder in clean:
        images += [read_image(path) for path in _spread(image_files(folder), CLEAN_CROPS)]
    return [_crop(image, rng) for image in images]


def _spread(items: Sequence[Item], count: int) -> Iterator[Item]:
    chosen = np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int)
    return (items[index] for index in chosen)


def _crop(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    top, left = (int(rng.integers(max(side - CROP_PX, 0) + 1)) for side in image.shape[:2])
    return image[top : top + CROP_PX, left : left + CROP_PX]


def kept_by_default(graph: onnx.ModelProto) -> tuple[str, ...]:
    """
    Return what is most sensitive to 8 bits, measured convolution by convolution on ``fast``.

    The full-size block of the last unit: what it adds goes to the picture, and is most of the
    noise in dry frames. The coarsest block of each unit: most of the noise in rainy frames for
    a thirtieth of the work.
    """
    names = [tensor.name for tensor in graph.graph.initializer if UNITS in tensor.name]
    blocks = {name.removeprefix(UNITS).split('.')[2] for name in names if '.blocks.' in name}
    units = {name.removeprefix(UNITS).split('.')[0] for name in names}
    last_unit, coarsest = max(units, key=int), max(blocks, key=int)
    return f'{UNITS}{last_unit}.blocks.0.', f'.blocks.{coarsest}.'


def quantise(
    graph: onnx.ModelProto, crops: Sequence[np.ndarray], keep: Sequence[str]
) -> onnx.ModelProto:
    """
    Make the 3x3 convolutions between the first and the last 8-bit; all else stays float32.

    Weights have a scale per channel, inputs one for all. The fusions (1x1), the additions and
    both ends stay as they are: 8 bits there go straight to the picture.

    :param crops: uint8 RGB [H, W, 3], from which the ranges of the inputs come.
    :param keep: parts of names of weights that stay float32.
    :raises ModelError: the graph is float16.
    """
    if is_half(graph):
        raise ModelError('the graph is float16; give the float32 graph of the same weights')
    quantised: onnx.ModelProto = nncf.quantize(
        graph,
        nncf.Dataset(crops, lambda crop: {'frames': crop[None]}),
        # asymmetric: leaky features are positive for the most part. TensorRT takes symmetric
        # ones alone (PERFORMANCE), which are noisier
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(crops),
        ignored_scope=nncf.IgnoredScope(names=_float_nodes(graph, keep)),
        # the default cuts off the rare bright streaks of heavy rain
        advanced_parameters=AdvancedQuantizationParameters(
            activations_range_estimator_params=RangeEstimatorParametersSet.HISTOGRAM
        ),
    )
    del quantised.graph.value_info[:]  # as in other exports; TensorRT's graph casts elsewhere
    return quantised


def _float_nodes(graph: onnx.ModelProto, keep: Sequence[str]) -> list[str]:
    """Return the names of the nodes that stay float32."""
    weights = {tensor.name: tensor for tensor in graph.graph.initializer}
    kept = (FIRST_WEIGHT, LAST_PARAMETERS[0], *keep)

    def stays(node: onnx.NodeProto) -> bool:
        if node.op_type != 'Conv':
            return True
        weight = weights[node.input[1]]
        is_pointwise = list(weight.dims[2:]) == [1, 1]
        return is_pointwise or any(part in weight.name for part in kept)

    return [node.name for node in graph.graph.node if stays(node)]


@command
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('name', help='of the released model')
    parser.add_argument('--pairs', type=Path, nargs='+', required=True, metavar='FOLDER')
    parser.add_argument('--clean', type=Path, nargs='+', required=True, metavar='FOLDER')
    parser.add_argument('--dry', type=Path, required=True, help='video that may hardly change')
    parser.add_argument(
        '--keep',
        nargs='*',
        metavar='PART',
        help='of names of weights to stay float32; default: the last full-size block and the '
        'coarsest ones',
    )
    parser.add_argument('--folder', type=Path, default=MODELS, help='default: derain_ros/models')
    parser.add_argument('--json', type=Path, help='file to write the result to')
    arguments = parser.parse_args()
    check_writable(arguments.folder)
    graph = load_graph(arguments.name)
    keep = kept_by_default(graph) if arguments.keep is None else arguments.keep
    nncf.set_log_level(logging.WARNING)  # else it lists every node that stays
    crops = calibration_crops(arguments.pairs, arguments.clean)
    quantised = quantise(graph, crops, keep)
    file = f'{Path(arguments.name).stem}-int8.onnx'
    with TemporaryDirectory(dir=arguments.folder) as complete:
        path = Path(complete) / file
        write_graph(quantised, path)
        result = compare(arguments.name, str(path), arguments.pairs, arguments.dry)
        print(result.table())
        if arguments.json:
            write_json(arguments.json, result.to_json())
        result.check(file)
        os.replace(path, arguments.folder / file)
    update_manifest(arguments.folder, [file])


if __name__ == '__main__':
    sys.exit(main())
