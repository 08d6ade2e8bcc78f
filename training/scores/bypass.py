"""How often the rain gate of the node is wrong: rain that passes, and dry images that do not."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from derain_ros.stream.batch import bounded
from derain_ros.stream.gate import DRY_FOR_S, Gate
from derain_ros.stream.inspection import Inspector
from training.data.weather import Kind
from training.scores.metrics import psnr

Derain = Callable[[np.ndarray], np.ndarray]

# all *inferred*
RAIN_WEIGHT = 4.0  # a rainy image that passes counts as so many dry ones that do not
LEAST_GAIN_DB = 0.3  # of rain that is worth de-raining
DRY_SHARE = 0.75  # of the threshold of a single image, for averages vary less
BOUNDS = (64, 32, 16)  # grey levels

RATE_HZ, PHASE_S, DRIVES = 10.0, 10.0, 20


class Thresholds(NamedTuple):
    """Rain numbers: of one image above which it rains, and on average below which it is dry."""

    raining: float
    dry: float


@dataclass(frozen=True)
class Numbers:
    """
    What was measured of one kind of scenes.

    :param rain: rain number of each scene, [N].
    :param gain_db: PSNR (RGB) that de-raining adds to each; None where the truth is not known, or
        the scene is dry.
    :param bounded_db: what is lost of it with ``max_change`` of each of BOUNDS, [N, B]; as above.
    """

    name: str
    is_rainy: bool
    rain: np.ndarray
    gain_db: np.ndarray | None
    bounded_db: np.ndarray | None

    @property
    def matters(self) -> bool:
        """Whether the network makes anything of this rain; taken for granted where unknown."""
        return self.is_rainy and (self.gain_db is None or self.gain_db.mean() >= LEAST_GAIN_DB)

    def half(self, number: int) -> 'Numbers':
        """Return the first (0) or the second (1) half of the scenes, in their order."""
        middle = len(self.rain) // 2
        scenes = slice(middle, None) if number else slice(middle)
        gain, bounds = (
            None if values is None else values[scenes]
            for values in (self.gain_db, self.bounded_db)
        )
        return Numbers(self.name, self.is_rainy, self.rain[scenes], gain, bounds)

    def wrong(self, threshold: float) -> np.ndarray:
        """Return of each scene whether the gate is wrong about it at a threshold, bool [N]."""
        return self.rain <= threshold if self.is_rainy else self.rain > threshold


def measure(derain: Derain, kind: Kind) -> Numbers:
    """De-rain the scenes of one kind; ``derain`` takes and gives uint8 [H, W, 3]."""
    rain, gains, losses = [], [], []
    for scene in kind.read():
        output = derain(scene.rainy)
        rain.append(Inspector().inspect(scene.rainy, output).rain)
        if kind.is_rainy and scene.truth is not None:
            after = psnr(output, scene.truth)
            gains.append(after - psnr(scene.rainy, scene.truth))
            outputs = (bounded(scene.rainy, output, levels) for levels in BOUNDS)
            losses.append([after - psnr(image, scene.truth) for image in outputs])
    return Numbers(
        kind.name,
        kind.is_rainy,
        np.array(rain),
        np.array(gains) if gains else None,
        np.array(losses) if losses else None,
    )


def choose(kinds: Sequence[Numbers]) -> Thresholds:
    """
    Return the thresholds at which the gate is wrong least often, every kind counting alike.

    Of rain, only kinds that the network improves count, and ``RAIN_WEIGHT`` times.
    """
    rainy = [kind for kind in kinds if kind.matters]
    dry = [kind for kind in kinds if not kind.is_rainy]

    def cost(threshold: float) -> float:
        rates = [np.mean([one.wrong(threshold).mean() for one in part]) for part in (rainy, dry)]
        return float(RAIN_WEIGHT * rates[0] + rates[1])

    numbers = np.unique(np.concatenate([kind.rain for kind in (*rainy, *dry)]))
    raining = min((numbers[1:] + numbers[:-1]) / 2, key=cost)
    return Thresholds(round(float(raining), 4), round(float(DRY_SHARE * raining), 4))


class Drive(NamedTuple):
    """
    Dry, then rain, then dry again, each for ``PHASE_S``, before the gate of the node.

    :param passed: share of the rainy images that passed unchanged.
    :param derained: share of the dry images that were de-rained, but for the first ``DRY_FOR_S``
        of each dry time, in which the gate cannot know.
    :param woke_s: seconds from the first rainy image to the first that was de-rained.
    """

    passed: float
    derained: float
    woke_s: float


def drive(dry: np.ndarray, rain: np.ndarray, thresholds: Thresholds, start: int) -> Drive:
    """
    Lead a gate through the rain numbers of a camera, over and over.

    :param start: which number is the first; the rain begins so many images later, too.
    """
    gate, steps = Gate('auto', *thresholds), round(PHASE_S * RATE_HZ)
    begins, ends = steps + start, 2 * steps + start
    sequence = [
        numbers[(start + step) % len(numbers)]
        for numbers, count in ((dry, begins), (rain, steps), (dry, steps))
        for step in range(count)
    ]
    moments = np.arange(len(sequence)) / RATE_HZ
    passed = np.array(
        [
            gate.is_closed(now) or gate.note_rain(number, now)
            for number, now in zip(sequence, moments, strict=True)
        ]
    )
    unsure = round(DRY_FOR_S * RATE_HZ) + 1
    derained = ~np.concatenate([passed[unsure:begins], passed[ends + unsure :]])
    in_rain = passed[begins:ends]
    woke = steps if in_rain.all() else int(in_rain.argmin())
    return Drive(float(in_rain.mean()), float(derained.mean()), woke / RATE_HZ)


def drives(dry: Numbers, rain: Numbers, thresholds: Thresholds) -> Drive:
    """Return the average of ``DRIVES`` drives that begin elsewhere; the longest ``woke_s``."""
    rows = [drive(dry.rain, rain.rain, thresholds, start) for start in range(DRIVES)]
    passed, derained, woke_s = zip(*rows, strict=True)
    return Drive(float(np.mean(passed)), float(np.mean(derained)), max(woke_s))


def scenes_of(kinds: Iterable[Numbers], name: str) -> Numbers:
    """Return the kind of a name."""
    return next(kind for kind in kinds if kind.name == name)
