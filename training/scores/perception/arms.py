"""What judges see in frames as they are, always de-rained, and as the node's gate has it."""

from collections.abc import Callable
from dataclasses import dataclass
import math

import numpy as np

from derain_ros.errors import DataError
from derain_ros.stream.gate import DRY_FOR_S, Gate
from derain_ros.stream.inspection import Inspector
from training.scores.evaluation import Derain
from training.scores.perception.objects import Detector, Objects

Masks = dict[str, np.ndarray]


@dataclass(frozen=True)
class Seen:
    """What is seen in a frame: objects, and areas by name, bool [H, W] of any one size."""

    objects: Objects
    areas: Masks


@dataclass(frozen=True)
class Judges:
    """
    Who judges.

    :param segmenter: marks areas in uint8 RGB [H, W, 3]; None: nobody does.
    :param least_score: from which on a detection counts.
    """

    detector: Detector
    segmenter: Callable[[np.ndarray], Masks] | None = None
    least_score: float = 0.5

    def see(self, image: np.ndarray) -> Seen:
        """
        Judge uint8 RGB [H, W, 3].

        :raises DataError: the detector gives something else than it should.
        """
        objects = self.detector(image)
        if not isinstance(objects, Objects):
            raise DataError(f'the detector gave {type(objects).__name__}; it must give Objects')
        return Seen(objects, self.segmenter(image) if self.segmenter else {})


@dataclass(frozen=True)
class Arms:
    """
    What is seen in the same frames in each arm.

    :param seen: by the name of the arm.
    :param passed: share of the frames that the gate let through.
    """

    seen: dict[str, list[Seen]]
    passed: float


def see_arms(
    raw: list[np.ndarray], derain: Derain, judges: Judges, seen_raw: list[Seen] | None = None
) -> Arms:
    """
    Judge frames as they are, de-rained, and gated.

    :param raw: uint8 RGB [H, W, 3] each.
    :param seen_raw: what is seen in them, where that is known.
    """
    derained = [derain(image) for image in raw]
    before = seen_raw or [judges.see(image) for image in raw]
    after = [judges.see(image) for image in derained]
    passed = let_through(raw, derained)
    gated = [one if dry else other for one, other, dry in zip(before, after, passed)]
    return Arms({'raw': before, 'de-rained': after, 'gated': gated}, float(np.mean(passed)))


def let_through(raw: list[np.ndarray], derained: list[np.ndarray]) -> list[bool]:
    """
    Return which frames the node's gate lets through as they are, with one frame a second.

    The weather lasts: what counts is the last time that the gate sees all of them in a row.
    """
    gate, inspector = Gate('auto'), Inspector()
    rains = [inspector.inspect(*pair).rain for pair in zip(raw, derained)]
    rounds = 1 + math.ceil((DRY_FOR_S + 1) / len(rains))
    passed = [gate.note_rain(rain, float(now)) for now, rain in enumerate(rains * rounds)]
    return passed[-len(rains) :]
