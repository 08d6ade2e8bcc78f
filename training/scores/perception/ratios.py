"""Scores that are a ratio of sums over frames, with bootstrap intervals."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

DRAWS = 1000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Ratio:
    """
    A score such as F1 = Σ 2 TP / Σ (2 TP + FP + FN), or IoU = Σ intersection / Σ union.

    :param over, under: what each frame adds above and below the line, float [frames].
    """

    over: np.ndarray
    under: np.ndarray

    @property
    def value(self) -> float:
        """The score over all frames; NaN where there is nothing to score."""
        total = float(self.under.sum())
        return float(self.over.sum()) / total if total > 0 else float('nan')

    @cached_property
    def draws(self) -> np.ndarray:
        """
        The score of frames drawn with replacement (Efron 1979), float [DRAWS].

        The draws are the same for every ratio of as many frames, so that the difference of two
        is that over the same frames.
        """
        count = len(self.over)
        drawn = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), DRAWS)
        over, under = drawn @ self.over, drawn @ self.under
        return np.divide(over, under, out=np.full(DRAWS, np.nan), where=under > 0)

    @property
    def interval(self) -> tuple[float, float]:
        """Where 95 % of the draws lie."""
        return interval(self.draws)

    def gain_over(self, other: 'Ratio') -> tuple[float, float]:
        """Return where 95 % of the differences to another score of the same frames lie."""
        return interval(self.draws - other.draws)


def interval(draws: np.ndarray) -> tuple[float, float]:
    """Return the bounds of the middle 95 % of what was drawn; NaN where nothing was."""
    finite = draws[np.isfinite(draws)]
    if not finite.size:
        return float('nan'), float('nan')
    low, high = np.quantile(finite, ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2))
    return float(low), float(high)


def overlap(found: list[np.ndarray], reference: list[np.ndarray]) -> Ratio:
    """Return the IoU of areas, bool [H, W] for each frame."""
    return Ratio(
        np.array([float((one & other).sum()) for one, other in zip(found, reference)]),
        np.array([float((one | other).sum()) for one, other in zip(found, reference)]),
    )
