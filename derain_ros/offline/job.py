"""How the inputs of a run are de-rained: what all kinds of files have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from derain_ros.errors import EngineError
from derain_ros.stream.inspection import Inspector

Pixels = NDArray[np.uint8]


class Pair(NamedTuple):
    """
    A frame before and after, uint8 BGR [H, W, 3] each.

    :param rain: share of the pixels that lost a streak, 0 to 1.
    """

    rainy: Pixels
    derained: Pixels
    rain: float


@dataclass(frozen=True)
class Job:
    """
    How to de-rain.

    :param derain: takes and returns uint8 BGR [H, W, 3]; raises DerainError.
    :param jobs: threads that decode, and as many that encode.
    :param quality: of JPEG and WebP, 1 to 100; None: as the input, or what suits it.
    :param topics: of bags; all image topics if empty.
    :param beside: whether de-rained topics stand beside the original ones.
    :param shows: whether some frames are kept for a page.
    :param advance: is told which share of an input was done since the last time.
    """

    derain: Callable[[Pixels], Pixels]
    jobs: int = 2
    quality: int | None = None
    topics: tuple[str, ...] = ()
    beside: bool = False
    shows: bool = False
    advance: Callable[[float], None] = lambda share: None

    def pair(self, rainy: Pixels, inspector: Inspector) -> Pair:
        """
        De-rain a frame.

        :param inspector: of its stream.
        :raises EngineError: the result cannot be a de-rained image.
        :raises ImageError: the frame is too small.
        """
        derained = self.derain(rainy)
        inspection = inspector.inspect(rainy, derained)
        if inspection.problem:
            raise EngineError(f'its result is not plausible: {inspection.problem}')
        return Pair(rainy, derained, inspection.rain)
