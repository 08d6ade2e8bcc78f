#!/usr/bin/env python3
r"""
Score a network as it drives: through the CPU engine of the car, from its ONNX graph.

    python3 training/evaluate.py --weights fast --data Rain100L --json scores.json
    python3 training/evaluate.py --weights runs/fast/best.safetensors --data photographs \
        --truth none --report report
"""

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
import math
from pathlib import Path
import sys
from tempfile import TemporaryDirectory

if not __package__:  # run as a file: lets this repository be imported
    import _root  # noqa: F401

import cv2
import numpy as np
from PIL import Image

from derain_ros.engine.base import Engine
from derain_ros.engine.factory import create_engine
from derain_ros.errors import DataError, EngineError, ModelError
from derain_ros.files import write_json
from derain_ros.media.images import image_files, read_image
from derain_ros.media.videos import read_images
from training.data.pairs import number, read_pairs
from training.scores.gallery import write_report
from training.scores.metrics import luma, mean_scores, scores

# for people; in JSON the names are the keys
PROTOCOLS = (
    'Y: 8-bit luma, MATLAB BT.601, SSIM 11x11 Gaussian σ 1.5, valid window. '
    'RGB: 8-bit, mean over channels.'
)
STREAK_SIGMA = 5.0


@dataclass(frozen=True)
class Scene:
    """A rainy image and, where anyone knows it, the true one; uint8 RGB [H, W, 3]."""

    name: str
    number: int | None
    rainy: np.ndarray
    truth: np.ndarray | None


def read_scenes(data: Path, truth: str) -> list[Scene]:
    """
    Read what is to be scored.

    :param truth: ``pairs``: of the pairs in data; ``none``: nobody knows it; ``itself``: the
        images are free of rain; ``median``: of all frames, the camera stands still.
    :raises DataError: the data cannot be read.
    """
    if truth == 'pairs':
        return _named_apart(
            data,
            [Scene(pair.name, pair.number, pair.rainy, pair.clean) for pair in read_pairs(data)],
        )
    if data.is_dir():
        paths = image_files(data)
        named = [(path.stem, number(path), read_image(path)) for path in paths]
    else:
        named = [(f'{second:05}', second, frame) for second, frame in enumerate(read_images(data))]
    truths: Iterable[np.ndarray | None] = [None] * len(named)
    if truth == 'itself':
        truths = [image for _, _, image in named]
    elif truth == 'median':
        if len({image.shape for _, _, image in named}) > 1:
            raise DataError(f'{data}: frames of several sizes, so the camera does not stand still')
        median = np.median([image for _, _, image in named], axis=0)
        truths = [np.rint(median).astype(np.uint8)] * len(named)
    return _named_apart(data, [Scene(*item, truth=image) for item, image in zip(named, truths)])


def _named_apart(data: Path, scenes: list[Scene]) -> list[Scene]:
    for name, count in Counter(scene.name for scene in scenes).items():
        if count > 1:
            raise DataError(
                f'{data}: two images are called {name} but for the suffix, and their '
                'results would be one; rename or remove one of them'
            )
    return scenes


def open_engine(weights: str) -> Engine:
    """
    Open what drives: a released name, an ONNX file, or safetensors that are exported first.

    Always on the CPU: ``auto`` would change engines midway where there is a GPU, and go back to
    the graph long after this has returned.

    :raises ModelError: there is no such model.
    :raises EngineError: OpenVINO is not there.
    """
    if not weights.endswith('.safetensors'):
        return create_engine('openvino', weights)
    from derain_ros.model.export import export, load_network

    with TemporaryDirectory() as folder:
        graph = Path(folder) / 'network.onnx'
        export(load_network(Path(weights)), graph)
        return create_engine('openvino', str(graph))


def derain(engine: Engine, image: np.ndarray) -> np.ndarray:
    """De-rain uint8 RGB [H, W, 3]."""
    output = np.empty_like(image)
    engine.infer(image[None], output[None], 'rgb')
    return output


def rain_energy_removed(rainy: np.ndarray, output: np.ndarray) -> float:
    """
    Give the energy that was taken away, relative to that of all detail; no measure of quality.

    Σ (Y_in - Y_out)² / Σ (Y_in - blurred Y_in)², Gaussian of σ 5 (*inferred*: no published form).
    0 where nothing changed; a flat image counts as 0.
    """
    before, after = (luma(image).astype(np.float64) for image in (rainy, output))
    detail = np.sum((before - cv2.GaussianBlur(before, (0, 0), STREAK_SIGMA)) ** 2)
    return float(np.sum((before - after) ** 2) / detail) if detail > 0 else 0.0


def evaluate(engine: Engine, scenes: list[Scene]) -> Iterator[tuple[Scene, np.ndarray, dict]]:
    """De-rain each scene; with the output comes its row of the result."""
    for scene in scenes:
        output = derain(engine, scene.rainy)
        row: dict = {'name': scene.name}
        if scene.truth is None:
            row['rain_energy_removed'] = rain_energy_removed(scene.rainy, output)
        else:
            row |= scores(output, scene.truth)
            row['input'] = scores(scene.rainy, scene.truth)
        yield scene, output, row


def summarize(rows: list[dict]) -> dict:
    """Give the result as --json writes it: ``mean``, ``input``, ``images``; null is infinite."""
    result: dict = {
        'mean': mean_scores(
            [
                {key: value for key, value in row.items() if key not in ('name', 'input')}
                for row in rows
            ]
        )
    }
    if 'input' in rows[0]:
        result['input'] = mean_scores([row['input'] for row in rows])
    return result | {'images': [finite(row) for row in rows]}


def finite(row: dict) -> dict:
    """Give the values of a result as JSON can hold them: None is infinite."""
    return {
        key: finite(value)
        if isinstance(value, dict)
        else None
        if isinstance(value, float) and math.isinf(value)
        else value
        for key, value in row.items()
    }


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


def parse() -> argparse.Namespace:
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


def run(arguments: argparse.Namespace) -> None:
    engine = open_engine(arguments.weights)
    scenes = read_scenes(arguments.data, arguments.truth)
    if arguments.numbers:
        first, last = arguments.numbers
        scenes = [scene for scene in scenes if scene.number in range(first, last + 1)]
        if not scenes:
            raise DataError(f'{arguments.data}: has no image numbered {first} to {last}')
    print(PROTOCOLS)
    rows, shots = [], []
    for scene, output, row in evaluate(engine, scenes):
        rows.append(row)
        print(_line(scene.name, finite(row)))
        if arguments.save:
            path = arguments.save / f'{scene.name}.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(output).save(path)
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


def main() -> int:
    try:
        run(parse())
    except (DataError, ModelError, EngineError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
