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
        with onnx_file(options.model) as path:
            graph = load_graph(path)
        check_finite(graph, options.model, options.precision)
        if options.precision == 'fp16':
            halve(graph)
        write_graph(graph, options.onnx)
    except (ModelError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
