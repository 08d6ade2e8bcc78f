#!/usr/bin/env python3
r"""
Score a network as the node runs it: its ONNX graph, on the CPU inference engine.

    python3 training/evaluate.py --weights fast --data Rain100L --json scores.json
    python3 training/evaluate.py --weights runs/fast/best.safetensors --data photographs \
        --truth none --report report
"""

import argparse
from pathlib import Path
import sys

if not __package__:  # run as a file: lets this repository be imported
    import _root  # noqa: F401

import numpy as np
from PIL import Image

from derain_ros import DataError, Derainer
from derain_ros.files import write_json
from derain_ros.media.gallery import write_report
from training.commands import check_writable, command
from training.data.scenes import numbered, read_scenes
from training.scores.evaluation import evaluate, none_for_infinite, open_derainer, summarize

# for people; in JSON the names are the keys
PROTOCOLS = (
    'Y: 8-bit luma, MATLAB BT.601, SSIM 11x11 Gaussian σ 1.5, valid window. '
    'RGB: 8-bit, mean over channels.'
)


def _line(name: str, values: dict) -> str:
    def show(key: str, unit: str) -> str:
        value = values[key]
        return 'identical' if value is None else f'{value:.{2 if unit else 4}f}{unit}'

    if 'psnr_y' not in values:
        return f'{name:24} rain energy removed {values["rain_energy_removed"]:.4f}'
    return (
        f'{name:24} Y {show("psnr_y", " dB"):>9} {show("ssim_y", "")}   '
        f'RGB {show("psnr_rgb", " dB"):>9} {show("ssim_rgb", "")}'
    )


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument(
        '--weights', required=True, help='released name, safetensors file or ONNX file'
    )
    parser.add_argument(
        '--data',
        type=Path,
        required=True,
        help='pairs in any of the layouts; with another --truth than pairs a '
        'folder of images or a video',
    )
    parser.add_argument(
        '--truth',
        choices=('pairs', 'none', 'itself', 'median'),
        default='pairs',
        help='where the truth is: in the pairs; nowhere (real rain); the images '
        'themselves (free of rain); their median (the camera stands still)',
    )
    parser.add_argument(
        '--swapped',
        action=argparse.BooleanOptionalAction,
        help='rainy and clean images are in the place of each other; '
        '--no-swapped: they are not, even where the rainy ones are darker',
    )
    parser.add_argument(
        '--numbers',
        type=int,
        nargs=2,
        metavar=('FIRST', 'LAST'),
        help='score only the images so numbered, such as 181 200',
    )
    parser.add_argument('--json', type=Path, help='file to write the result to')
    parser.add_argument('--save', type=Path, help='folder to write the de-rained images to')
    parser.add_argument(
        '--report',
        type=Path,
        help='folder for a page with before/after sliders and a contact sheet',
    )
    return parser.parse_args()


def _save(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


def score(derain: Derainer, arguments: argparse.Namespace) -> None:
    scenes = read_scenes(arguments.data, arguments.truth, arguments.swapped)
    if arguments.numbers:
        scenes = numbered(scenes, *arguments.numbers)
        if not scenes:
            first, last = arguments.numbers
            raise DataError(f'{arguments.data}: has no image numbered {first} to {last}')
    print(PROTOCOLS)
    rows, shots = [], []
    for scene, output, row in evaluate(derain, scenes):
        rows.append(row)
        print(_line(scene.name, none_for_infinite(row)))
        if arguments.save:
            _save(arguments.save / f'{scene.name}.png', output)
        if arguments.report:
            shots.append((scene.name, scene.rainy, output))
    result = summarize(rows)
    if 'input' in result:
        print(_line('input, mean', result['input']))
    print(_line('output, mean', result['mean']))
    if arguments.json:
        write_json(arguments.json, result)
    if arguments.report:
        write_report(arguments.report, shots)


@command
def main() -> None:
    arguments = parse_arguments()
    for folder in (arguments.json and arguments.json.parent, arguments.save, arguments.report):
        if folder:
            check_writable(folder)
    with open_derainer(arguments.weights) as derain:
        score(derain, arguments)


if __name__ == '__main__':
    sys.exit(main())
