"""Scores on real rain, with the temporal median of a camera that stood still as the truth."""

from dataclasses import dataclass

import numpy as np

from training.data.stills import Still
from training.scores.evaluation import Derain
from training.scores.metrics import luma, psnr

STREAK = 5.0  # grey levels of luma above the median


@dataclass(frozen=True, kw_only=True)
class StillScore:
    """
    How a network does on one still, over its static pixels.

    :param before, after: mean PSNR (Y) over the frames against the median, in dB.
    :param streaks: squared error at streaks, after relative to before; 1 where there are none.
    :param elsewhere_before, elsewhere_after: mean squared error of the other pixels.
    :param floor: agreement of the medians of half the frames each, in dB.
    :param static: share of static pixels.
    """

    before: float
    after: float
    streaks: float
    elsewhere_before: float
    elsewhere_after: float
    floor: float
    static: float

    @property
    def gain(self) -> float:
        """What the network adds to the PSNR, in dB; below 0, no network would be better."""
        return self.after - self.before


def noise_floor(still: Still) -> float:
    """Return how well the median is known: PSNR (Y) of those of half the frames each, in dB."""
    return psnr(*(luma(half)[still.static] for half in still.halves))


def score_still(still: Still, derain: Derain) -> StillScore:
    """
    Score a network on the kept frames of a still.

    Streaks are static pixels more than STREAK above the median.

    :param derain: de-rains uint8 RGB [H, W, 3].
    """
    truth = luma(still.median)[still.static]
    befores, afters = [], []
    streaks, elsewhere = np.zeros(2), np.zeros(2)
    count = 0
    for frame in still.frames:
        before, after = (luma(image)[still.static] for image in (frame, derain(frame)))
        befores.append(psnr(before, truth))
        afters.append(psnr(after, truth))
        errors = np.square(np.subtract([before, after], truth, dtype=np.float64))
        streak = before > truth + STREAK
        streaks += errors[:, streak].sum(axis=1)
        elsewhere += errors[:, ~streak].sum(axis=1)
        count += int((~streak).sum())
    elsewhere /= max(count, 1)
    return StillScore(
        before=float(np.mean(befores)),
        after=float(np.mean(afters)),
        streaks=float(streaks[1] / streaks[0]) if streaks[0] > 0 else 1.0,
        elsewhere_before=float(elsewhere[0]),
        elsewhere_after=float(elsewhere[1]),
        floor=noise_floor(still),
        static=float(still.static.mean()),
    )


def still_table(scores: dict[str, StillScore]) -> str:
    """Return a Markdown table with a line for each camera and one for their mean gain."""
    lines = [
        '| camera | static pixels | floor | input | gain | streak error × | error elsewhere |',
        '|---' * 7 + '|',
    ]
    lines += [
        f'| {name} | {score.static:.0%} | {score.floor:.1f} | {score.before:.2f} '
        f'| {score.gain:+.2f} | {score.streaks:.2f} '
        f'| {score.elsewhere_before:.1f} → {score.elsewhere_after:.1f} |'
        for name, score in scores.items()
    ]
    gains = np.mean([score.gain for score in scores.values()])
    streaks = np.mean([score.streaks for score in scores.values()])
    return '\n'.join([*lines, f'| **mean** | | | | **{gains:+.2f}** | {streaks:.2f} | |']) + '\n'
