"""
What the network changed in an image: how much rain, and whether the result is plausible at all.

Rain that is taken away makes an image darker and smoother; it does not make it black, white, flat,
or another scene. The bounds lie well outside of what the released models do to 74 photographs of
real rain, 150 images of synthetic rain and 100 dry ones, each measured on samples of the image:
the mean brightens by at most 0.2 grey levels, 1.4 % of the samples turn black and none white, the
contrast falls to 0.51 of what it was, and the correlation with the input to 0.46. A channel shifts
by at most 13 grey levels against the others.

Rain is nearly grey and falls without regard to the scene. So what a colour picture shows between
red and blue stays, and contrast falls only as far as the correlation does: were the rain added to
the scene and independent of it, both would be the same number. The models differ by at most 0.10.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

# So many samples along each side are enough, and cost about a tenth of a millisecond.
SAMPLES_PER_SIDE = 32
BRIGHTENING = 6.0  # grey levels, of the mean
TINT = 30.0  # grey levels, of the mean of a channel against those of the others
BLACKENED_SHARE, WHITENED_SHARE = 0.10, 0.05
LEAST_CONTRAST, LEAST_CORRELATION = 0.3, 0.3
MOST_FADING = 0.2  # of the correlation above the contrast; half the brightness has 0.5
LEAST_COLOUR = 8.0  # grey levels, mean change of red - blue, for swapped channels to be told
# Below this standard deviation an input has no contrast to compare with.
FLAT = 4.0  # grey levels
FLAT_CHANGE = 40.0  # grey levels, mean absolute change
# A camera's noise alone changes an image by about this much from frame to frame.
MOVED = 0.5  # grey levels, mean absolute difference

# Rain is counted on more samples, because drizzle covers less than a hundredth of an image.
RAIN_SAMPLES_PER_SIDE = 128
# A sample that darkens by more than this has lost a streak. Of 4, 6, 8, 12, 16 and 24 grey levels,
# 8 and 12 tell drizzle from dry images best.
STREAK = 8  # grey levels
CHANGED = 3.0  # grey levels

Pixels = NDArray[np.uint8]


class Inspection(NamedTuple):
    """
    What the network changed in one image, by samples of it.

    :param problem: why it is not plausible; empty if it is.
    :param rain: share of the samples that lost a streak, 0 to 1: whose green, the channel that
        rain and camera share out best, darkened by more than ``STREAK`` grey levels.
    :param changed: share of the samples that changed by more than ``CHANGED`` grey levels.
    :param mean_change: mean absolute change, in grey levels.
    """

    problem: str
    rain: float
    changed: float
    mean_change: float


class Inspector:
    """Inspects the results of one stream, one after the other."""

    def __init__(self) -> None:
        self._last: tuple[Pixels, Pixels] | None = None

    def inspect(self, rainy: Pixels, derained: Pixels) -> Inspection:
        """
        Return what changed from an input to its result.

        :param rainy: the engine's input, uint8 [H, W, 3].
        :param derained: its output, of the same shape.
        """
        before, after = (_samples(image, SAMPLES_PER_SIDE) for image in (rainy, derained))
        frozen = self._frozen(before, after)
        wet, dry = before.astype(np.float32), after.astype(np.float32)
        change = np.abs(wet - dry)
        return Inspection(
            problem=frozen or _problem(wet, dry),
            rain=_rain(rainy, derained),
            changed=float(np.mean(_brightest(change) > CHANGED)),
            mean_change=float(change.mean()),
        )

    def _frozen(self, before: Pixels, after: Pixels) -> str:
        last, self._last = self._last, (before, after)
        if last is None or last[0].shape != before.shape:
            return ''
        moved = float(np.mean(np.abs(before.astype(np.int16) - last[0])))
        if moved > MOVED and np.array_equal(after, last[1]):
            return f'it is the same as the one before, while the input changed by {moved:.1f}'
        return ''


def _samples(image: Pixels, per_side: int) -> Pixels:
    """Return a grid of samples of [H, W] or [H, W, 3]."""
    rows, columns = (max(1, side // per_side) for side in image.shape[:2])
    # a copy, because the engine's buffers are used again
    return image[rows // 2 :: rows, columns // 2 :: columns].copy()


def _rain(rainy: Pixels, derained: Pixels) -> float:
    # green is in the middle, whatever the order
    before, after = (_samples(image[..., 1], RAIN_SAMPLES_PER_SIDE) for image in (rainy, derained))
    return float(np.mean(cv2.subtract(before, after) > STREAK))


def _problem(before: NDArray[np.float32], after: NDArray[np.float32]) -> str:
    blackened = float(np.mean((_brightest(after) <= 1) & (_brightest(before) > 64)))
    if blackened > BLACKENED_SHARE:
        return f'{blackened:.0%} of it turned black'
    whitened = float(np.mean((_darkest(after) >= 254) & (_darkest(before) < 192)))
    if whitened > WHITENED_SHARE:
        return f'{whitened:.0%} of it turned white'
    shifts = (after - before).mean(axis=(0, 1))
    shift = float(shifts.mean())
    if shift > BRIGHTENING:
        return f'it is {shift:.0f} grey levels brighter than the input'
    tint = float(np.abs(shifts - shift).max())
    if tint > TINT:
        return f'a channel of it shifted by {tint:.0f} grey levels against the others'
    return _structure_problem(before, after)


def _structure_problem(before: NDArray[np.float32], after: NDArray[np.float32]) -> str:
    deviation = float(before.std())
    if deviation < FLAT:
        change = float(np.abs(after - before).mean())
        return f'a plain image changed by {change:.0f} grey levels' if change > FLAT_CHANGE else ''
    contrast = float(after.std()) / deviation
    if contrast < LEAST_CONTRAST:
        return f'its contrast is {contrast:.0%} of that of the input'
    covariance = float(np.mean((before - before.mean()) * (after - after.mean())))
    correlation = covariance / (deviation**2 * contrast)
    if correlation < LEAST_CORRELATION:
        return f'it does not show the scene of the input (correlation {correlation:.2f})'
    if correlation - contrast > MOST_FADING:
        return f'it shows the scene of the input with {contrast:.0%} of its contrast'
    if _is_swapped(before, after):
        return 'its red and blue are swapped'
    return ''


def _is_swapped(before: NDArray[np.float32], after: NDArray[np.float32]) -> bool:
    colour, result = (samples[..., 0] - samples[..., 2] for samples in (before, after))
    change = float(np.abs(result - colour).mean())
    return change > max(LEAST_COLOUR, 2 * float(np.abs(result + colour).mean()))


# of each pixel; fifteen times as fast as a reduction over so short an axis


def _brightest(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.maximum(np.maximum(samples[..., 0], samples[..., 1]), samples[..., 2])


def _darkest(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.minimum(np.minimum(samples[..., 0], samples[..., 1]), samples[..., 2])
