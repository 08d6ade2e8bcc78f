"""Drives from dry weather into rain and out of it, before the gate of the node as it is."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from derain_ros.stream.gate import DRY_FOR_S, Gate
from training.data.weather import STILLS
from training.scores.bypass import Numbers

# of a dry and a rainy kind, as far as possible of one camera
DRIVES = (
    ('driving', 'driving, light rain'),
    ('driving', 'driving, drizzle'),
    ('camvid', 'rain_pan_real'),
    ('highway', 'photographs'),
    ('rain_light, clean', 'rain_light'),
    ('bsds', 'rain_mixed'),
    *((f'{name}, median', name) for name in STILLS),
)
RATE_HZ, PHASE_S = 10.0, 20.0
# all *inferred*
RAIN_WEIGHT = 4.0  # rain that is lost on the network counts as so much needless de-raining
DRY_SHARE = 0.75  # of the threshold of a single image, for averages vary less
# Of what is best here: drizzle that nobody filmed may be fainter, and so may the next minute of a
# clip; the first and the last seconds of one differ by as much.
MARGIN = 0.5
CANDIDATES, ALIKE = np.geomspace(1e-4, 0.1, 31), 0.002


class Thresholds(NamedTuple):
    """Rain numbers: of one image above which it rains, and on average below which it is dry."""

    raining: float
    dry: float


class Drive(NamedTuple):
    """
    Dry, then rain, then dry again, each for ``PHASE_S``.

    :param passed: share of the rainy images that passed unchanged.
    :param lost: share of what de-raining makes of them that is lost by it.
    :param derained: share of the dry images that were de-rained, but for the first ``DRY_FOR_S``
        of each dry time, in which the gate cannot know.
    :param woke_s: seconds from the first rainy image to the first that was de-rained.
    """

    passed: float
    lost: float
    derained: float
    woke_s: float


def drive(dry: Numbers, rain: Numbers, thresholds: Thresholds, start: int = 0) -> Drive:
    """
    Lead a gate through the scenes of two kinds, over and over.

    :param start: where in each kind it begins, and by how much later the rain does, in images.
    """
    gate, steps = Gate('auto', *thresholds), round(PHASE_S * RATE_HZ)
    begins, ends = steps + start, 2 * steps + start
    scenes = [_scenes(numbers, start, ends) for numbers in (dry, rain)]
    sequence = [dry.rain[scenes[0][:begins]], rain.rain[scenes[1][:steps]]]
    sequence.append(dry.rain[scenes[0][begins : begins + steps]])
    passed = np.array(
        [
            _passes(gate, number, step / RATE_HZ)
            for step, number in enumerate(np.concatenate(sequence).tolist())
        ]
    )
    unsure = round(DRY_FOR_S * RATE_HZ) + 1
    needless = ~np.concatenate([passed[unsure:begins], passed[ends + unsure :]])
    in_rain, worth = passed[begins:ends], rain.worth()[scenes[1][:steps]]
    return Drive(
        passed=float(in_rain.mean()),
        lost=float(worth[in_rain].sum() / worth.sum()) if worth.any() else 0.0,
        derained=float(needless.mean()),
        woke_s=(steps if in_rain.all() else int(in_rain.argmin())) / RATE_HZ,
    )


def _passes(gate: Gate, number: float, now: float) -> bool:
    """Return whether an image passes, as the streams of the node have it."""
    if not gate.is_closed:
        return gate.note_rain(number, now)
    if gate.wants_look(now):
        gate.begin_look(now)
        gate.note_rain(number, now)
    return True


def _scenes(numbers: Numbers, start: int, count: int) -> np.ndarray:
    """Return which scene each of so many images shows."""
    images_per_scene = numbers.kind.interval_s * RATE_HZ
    return ((start + np.arange(count)) / images_per_scene).astype(int) % len(numbers.rain)


def drives(kinds: Sequence[Numbers], thresholds: Thresholds, count: int = 20) -> dict[str, Drive]:
    """Return each of DRIVES: the averages of so many that begin elsewhere, the longest woke_s."""
    named = {numbers.kind.name: numbers for numbers in kinds}
    result = {}
    for dry, rain in DRIVES:
        rows = [drive(named[dry], named[rain], thresholds, start) for start in range(count)]
        passed, lost, derained, woke_s = (np.array(column) for column in zip(*rows, strict=True))
        result[f'{dry}; {rain}'] = Drive(
            float(passed.mean()), float(lost.mean()), float(derained.mean()), float(woke_s.max())
        )
    return result


def choose(kinds: Sequence[Numbers]) -> Thresholds:
    """
    Return the thresholds with which the gate loses least in DRIVES, each counting alike; MARGIN
    of it. Of many that do equally well, those in the middle count.
    """

    def cost(raining: float) -> float:
        rows = drives(kinds, _thresholds(raining), count=4).values()
        return float(np.mean([RAIN_WEIGHT * row.lost + row.derained for row in rows]))

    costs = np.array([cost(raining) for raining in CANDIDATES])
    best = CANDIDATES[costs <= costs.min() + ALIKE]
    return _thresholds(MARGIN * float(best[len(best) // 2]))


def _thresholds(raining: float) -> Thresholds:
    # two digits that count are enough
    return Thresholds(float(f'{raining:.2g}'), float(f'{DRY_SHARE * raining:.2g}'))
