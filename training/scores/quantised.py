"""The gate for 8-bit graphs: as good as the float one to a tenth of a dB, and faster."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
import statistics
import time

import cv2
import numpy as np

from derain_ros.engine.openvino import OpenVinoEngine, preferred_precision
from derain_ros.errors import DataError
from training.data.pairs import VALIDATION
from training.data.scenes import numbered, read_scenes
from training.errors import GateError
from training.scores.evaluation import Derain, evaluate, open_derainer, summarize
from training.scores.gate import dry_change, LARGEST_DRY_CHANGE, LARGEST_LOSS_DB

LARGEST_STAIN = 2  # grey levels
PICTURE_SIZE = (192, 256)  # height, width
TIMED_SIZES = ((360, 640), (720, 1280))
ROUNDS = 7


@dataclass(frozen=True)
class Comparison:
    """
    A graph in float and in 8 bits, in this order.

    :param psnr_y: means over the validation pairs of each set, in dB.
    :param dry_change: of dry frames, in grey levels.
    :param stains: largest change of each picture in black and white, in grey levels.
    :param times: of the 8-bit graph relative to the float one in the same precision.
    """

    psnr_y: dict[str, tuple[float, float]]
    dry_change: tuple[float, float]
    stains: dict[str, tuple[int, int]]
    times: dict[str, float]

    def problems(self) -> list[str]:
        """Return what keeps the 8-bit graph from being released; nothing where it passes."""
        found = [
            f'{name} loses {before - after:.2f} dB; {LARGEST_LOSS_DB} are allowed'
            for name, (before, after) in self.psnr_y.items()
            if not before - after <= LARGEST_LOSS_DB
        ]
        if not self.dry_change[1] <= LARGEST_DRY_CHANGE:
            found.append(
                f'dry frames change by {self.dry_change[1]:.3f} grey levels; '
                f'{LARGEST_DRY_CHANGE} are allowed'
            )
        found += [
            f'{name} changes by {after} grey levels; {LARGEST_STAIN} are allowed'
            for name, (_, after) in self.stains.items()
            if after > LARGEST_STAIN
        ]
        found += [
            f'{name} takes {ratio:.2f} times as long'
            for name, ratio in self.times.items()
            if not ratio < 1
        ]
        return found

    def check(self, model: str) -> None:
        """
        Let the graph pass.

        :raises GateError: it is worse, or no faster.
        """
        if found := self.problems():
            raise GateError(f'{model}: not to be released: {"; ".join(found)}')

    def to_json(self) -> dict:
        """Return the comparison as --json writes it."""
        return asdict(self) | {'problems': self.problems()}

    def table(self) -> str:
        """Return a Markdown table."""
        lines = ['| | float | int8 |', '|---|---|---|']
        lines += [
            f'| {name}, PSNR (Y) | {before:.3f} dB | {after:.3f} dB |'
            for name, (before, after) in self.psnr_y.items()
        ]
        lines += ['| dry frames, mean change | {:.4f} | {:.4f} |'.format(*self.dry_change)]
        lines += [
            f'| {name}, largest change | {before} | {after} |'
            for name, (before, after) in self.stains.items()
        ]
        lines += [f'| {name}, time | 1 | {ratio:.2f} |' for name, ratio in self.times.items()]
        return '\n'.join(lines)


def compare(graph: str, quantised: str, pairs: Sequence[Path], dry: Path) -> Comparison:
    """
    Score and time a graph and its 8-bit form, in the engine of the CPU.

    :param graph, quantised: released names or paths of ONNX files.
    :param pairs: folders, of which the pairs numbered in VALIDATION are scored.
    :param dry: video without rain.
    :raises ModelError: a graph fails the self-test with which every engine starts.
    :raises DataError: the pairs or the video cannot be read.
    """
    with open_derainer(graph) as before, open_derainer(quantised) as after:
        both = before, after
        scores = {folder.name: _scores(both, folder) for folder in pairs}
        changes = dry_change(before, dry), dry_change(after, dry)
        stains = {name: _stains(both, picture) for name, picture in pictures().items()}
    times = {
        f'{precision} {width}x{height}': _time(graph, quantised, precision, height, width)
        for precision in sorted({preferred_precision(), 'f32'})
        for height, width in TIMED_SIZES
    }
    return Comparison(scores, changes, stains, times)


def pictures() -> dict[str, np.ndarray]:
    """Return pictures in black and white, which are to stay as they are, uint8 [H, W, 3]."""
    black = np.zeros((*PICTURE_SIZE, 3), np.uint8)
    upright, lying = black.copy(), black.copy()
    upright[:, PICTURE_SIZE[1] // 2 :] = lying[PICTURE_SIZE[0] // 2 :] = 255
    return {
        'black': black,
        'white': ~black,
        'black beside white': upright,
        'white beside black': ~upright,
        'black above white': lying,
        'white above black': ~lying,
    }


def _scores(both: tuple[Derain, Derain], folder: Path) -> tuple[float, float]:
    scenes = numbered(read_scenes(folder, 'pairs'), VALIDATION[0], VALIDATION[-1])
    if not scenes:
        raise DataError(f'{folder}: has no pair numbered {VALIDATION[0]} to {VALIDATION[-1]}')
    before, after = (
        summarize([row for _, _, row in evaluate(derain, scenes)])['mean']['psnr_y']
        for derain in both
    )
    return before, after


def _stains(both: tuple[Derain, Derain], picture: np.ndarray) -> tuple[int, int]:
    before, after = (int(cv2.absdiff(derain(picture), picture).max()) for derain in both)
    return before, after


def _time(graph: str, quantised: str, precision: str, height: int, width: int) -> float:
    """Return how long the 8-bit graph takes relative to the other, the median over rounds."""
    frames = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), np.uint8)
    engines = [OpenVinoEngine(model, precision) for model in (graph, quantised)]
    ratios = []
    for _ in range(ROUNDS + 1):
        times_s = []
        for engine in engines:  # in turns, so that a busy machine slows both
            start = time.perf_counter()
            engine.infer(frames, np.empty_like(frames), 'rgb')
            times_s.append(time.perf_counter() - start)
        ratios.append(times_s[1] / times_s[0])
    return statistics.median(ratios[1:])  # the first round compiles
