"""
A truth for real rain: the temporal median of a camera that stands still.

A drop covers a pixel in few of the frames, so the median over time is the scene without rain.
What moves by itself, such as leaves and water, is masked out.
"""

from dataclasses import dataclass

import cv2
import numpy as np

WINDOW = 60  # frames of one median
KEPT = 8  # of them are kept
ROWS = 64  # so many at a time, which spares memory
# grey levels; all below are *inferred*
LARGEST_DEVIATION = 4.0
LARGEST_CHANGE, MOST_DARKER, MOST_BRIGHTER = 8.0, 0.04, 0.25
FAINT, CERTAIN = 1.5, 4.0


@dataclass(frozen=True, kw_only=True)
class Still:
    """
    Some seconds of a camera that stood still.

    :param name: of the recording and the moment, for people.
    :param frames: KEPT rainy frames, uint8 RGB [N, H, W, 3].
    :param median: over all frames, uint8 RGB [H, W, 3].
    :param static: where nothing but rain moves, bool [H, W].
    :param rain_only: where change is rain for certain, bool [H, W]: rain brightens, and seldom.
    :param halves: the medians of the even and of the odd frames, uint8 RGB [2, H, W, 3]; how well
        they agree is how well the median is known.
    """

    name: str
    frames: np.ndarray
    median: np.ndarray
    static: np.ndarray
    rain_only: np.ndarray
    halves: np.ndarray


def make_still(name: str, frames: np.ndarray) -> Still:
    """
    Take the median of frames of one scene, uint8 RGB [N, H, W, 3].

    Static are pixels whose median absolute deviation over time, averaged over the channels, is
    below LARGEST_DEVIATION.
    """
    strips = [_strip(frames[:, top : top + ROWS]) for top in range(0, frames.shape[1], ROWS)]
    median, static, rain_only = (np.concatenate(parts) for parts in zip(*strips))
    opened = cv2.morphologyEx(rain_only.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3)))
    halves = [np.median(frames[half::2], axis=0) for half in (0, 1)]
    count = len(frames)
    kept = np.arange(KEPT) * count // KEPT + count // (2 * KEPT)
    return Still(
        name=name,
        frames=frames[kept],
        median=np.rint(median).astype(np.uint8),
        static=static,
        rain_only=cv2.erode(opened, np.ones((5, 5))) > 0,
        halves=np.rint(halves).astype(np.uint8),
    )


def _strip(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    median = np.median(frames, axis=0).astype(np.float32)
    residual = frames - median
    deviation = np.median(np.abs(residual), axis=0).mean(axis=-1)
    grey = residual.mean(axis=-1)
    darker = (grey < -LARGEST_CHANGE).mean(axis=0)
    brighter = (grey > LARGEST_CHANGE).mean(axis=0)
    static = deviation < LARGEST_DEVIATION
    return median, static, static & (darker < MOST_DARKER) & (brighter < MOST_BRIGHTER)


def real_layer(still: Still, index: int) -> np.ndarray:
    """
    Return the rain of a kept frame: frame - median where that is rain, else 0.

    Streaks are connected areas brighter than the median by FAINT grey levels, and by CERTAIN
    somewhere when slightly blurred; what is left out is noise.

    :returns: float32 [H, W] in [0, 1], for ``add_rain``.
    """
    residual = still.frames[index].mean(axis=-1) - still.median.mean(axis=-1)
    residual = residual.astype(np.float32)
    certain = cv2.GaussianBlur(residual, (0, 0), 0.8) > CERTAIN
    count, areas = cv2.connectedComponents((residual > FAINT).astype(np.uint8), connectivity=8)
    streaks = np.zeros(count, bool)
    streaks[areas[certain]] = True
    streaks[0] = False  # the background
    return np.where(streaks[areas] & still.rain_only, residual / 255, np.float32(0.0))
