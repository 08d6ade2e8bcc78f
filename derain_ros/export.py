"""
PyTorch weights to an ONNX graph with uint8 frames in and out.

    python3 -m derain_ros.export runs/fast/best.safetensors fast.onnx
    python3 -m derain_ros.export runs/fast/best.safetensors fast-fp16.onnx --precision fp16
"""

import argparse
from pathlib import Path
import sys
from typing import get_args

from derain_ros.errors import ModelError
from derain_ros.model.export import export, load_network
from derain_ros.model.weights import Precision


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('weights', type=Path, help='safetensors file that training wrote')
    parser.add_argument('onnx', type=Path, help='graph to write')
    parser.add_argument(
        '--precision',
        choices=get_args(Precision),
        default='fp32',
        help='of the network between the first and last convolution',
    )
    arguments = parser.parse_args()
    try:
        export(load_network(arguments.weights), arguments.onnx, arguments.precision)
    except (ModelError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
