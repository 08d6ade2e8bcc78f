"""
Write a model as an ONNX graph for another tool, uint8 frames in and out.

    python3 -m derain_ros.export runs/fast/best.safetensors fast.onnx
    python3 -m derain_ros.export fast fast-fp16.onnx --precision fp16

Weights of a training need torch; a released model or another ONNX file does not.
"""

import argparse
from pathlib import Path
import sys
from typing import get_args

from derain_ros.errors import ModelError
from derain_ros.model.graph import load_graph, write_graph
from derain_ros.model.half import halve
from derain_ros.model.released import onnx_file
from derain_ros.model.weights import check_finite, Precision


def write_onnx(model: str, path: Path, precision: Precision) -> None:
    """
    Write a model as an ONNX graph, whole or not at all.

    :param model: released name, path of an ONNX file, or of weights (needs torch).
    :param precision: of everything from the first to the last convolution.
    :raises ModelError: there is no such model, or a weight is too large for the precision.
    :raises OSError: the file cannot be written.
    """
    with onnx_file(model) as source:
        graph = load_graph(source)
    check_finite(graph, model, precision)
    if precision == 'fp16':
        halve(graph)
    write_graph(graph, path)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument(
        'model', help='released name, ONNX file, or safetensors file that training wrote'
    )
    parser.add_argument('onnx', type=Path, help='graph to write')
    parser.add_argument(
        '--precision',
        choices=get_args(Precision),
        default='fp32',
        help='of the network between the first and last convolution',
    )
    options = parser.parse_args(arguments)
    try:
        write_onnx(options.model, options.onnx, options.precision)
    except (ModelError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
