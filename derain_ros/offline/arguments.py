"""The options that derain and derain-fleet have in common."""

import argparse
import os

from derain_ros.engine.factory import ENGINES


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add how inputs are de-rained, and where the report goes."""
    parser.add_argument('--model', default='fast', help='released name, or path (default fast)')
    parser.add_argument('--engine', default='auto', choices=ENGINES, help='(default auto)')
    parser.add_argument('--topics', nargs='+', help='of bags (default: all image topics)')
    parser.add_argument(
        '--beside', action='store_true', help='keep the original topics; add image_derained'
    )
    parser.add_argument(
        '--quality', type=int, choices=range(1, 101), metavar='1..100', help='of JPEG and WebP'
    )
    parser.add_argument(
        '--jobs',
        type=_at_least_one,
        default=min(4, os.cpu_count() or 1),
        help='threads that decode, and as many that encode',
    )


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text} is not 1 or more')
    return int(text)
