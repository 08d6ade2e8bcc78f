#!/usr/bin/env python3
r"""
The gate for released weights: real rain before cameras that stand still, and dry frames.

    python3 training/evaluate_stills.py --weights fast --clips yard.mp4 trees.mp4@200 \
        --dry driving.mp4 --json stills.json

The truth of a clip is the temporal median of 60 frames, from the one after the @ on. It is an
error if a clip comes out worse than it went in, or if dry frames change.
"""

import argparse
from pathlib import Path
import sys

if not __package__:  # run as a file: lets this repository be imported
    import _root  # noqa: F401

from derain_ros.files import write_json
from training.commands import check_writable, command
from training.scores.evaluation import open_derainer
from training.scores.gate import evaluate_stills
from training.scores.stills import still_table


@command
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument(
        '--weights', required=True, help='released name, safetensors file or ONNX file'
    )
    parser.add_argument(
        '--clips', required=True, nargs='+', metavar='PATH[@FIRST]', help='videos of still cameras'
    )
    parser.add_argument('--dry', type=Path, help='video without rain')
    parser.add_argument('--json', type=Path, help='file to write the result to')
    arguments = parser.parse_args()
    if arguments.json:
        check_writable(arguments.json.parent)
    with open_derainer(arguments.weights) as derain:
        result = evaluate_stills(derain, arguments.clips, arguments.dry)
    print(still_table(result.clips))
    if result.dry_change is not None:
        print(f'dry frames change by {result.dry_change:.3f} grey levels')
    if arguments.json:
        write_json(arguments.json, result.to_json())
    result.check(arguments.weights)


if __name__ == '__main__':
    sys.exit(main())
