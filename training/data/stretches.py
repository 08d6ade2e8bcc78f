"""Finds, in a recording, the stretches in which the camera stands still."""

from collections.abc import Iterable, Iterator

import cv2
import numpy as np

from training.data.stills import make_still, Still, WINDOW

SMALL_WIDTH = 96  # pixels; rain vanishes when the frame is shrunk so far
# all *inferred*
TEXTURE = 6.0  # grey levels from one small pixel to the next
LEAST_TEXTURE = 0.01  # share of the small pixels: too few of them cannot tell
CHANGED = 6.0  # grey levels
MOST_CHANGED = 0.4  # share of the textured pixels: leaves and passers-by move too
PAUSE = 60  # frames after each window, which would be much like it


def find_stills(name: str, frames: Iterable[tuple[float, np.ndarray]]) -> Iterator[Still]:
    """
    Return a still for every window of frames during which the camera does not move.

    Each frame is compared with the first of its window, at small size and only where there is
    texture, for a cloudy sky looks the same from a car at any speed.

    :param frames: with their times in s, each uint8 RGB [H, W, 3] of one size.
    """
    window: list[np.ndarray] = []
    start, pause = 0.0, 0
    first = textured = np.empty(0)
    for moment, frame in frames:
        small = _small(frame)
        if window and (window[0].shape != frame.shape or _moved(first, small, textured)):
            window, pause = [], 0
        if not window:
            first, textured, start = small, _texture(small), moment
        if pause > 0:
            pause -= 1
            continue
        window.append(frame)
        if len(window) == WINDOW:
            yield make_still(f'{name} at {start:.1f} s', np.stack(window))
            window, pause = [], PAUSE


def _small(frame: np.ndarray) -> np.ndarray:
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    height = max(1, round(len(frame) * SMALL_WIDTH / frame.shape[1]))
    return cv2.resize(grey, (SMALL_WIDTH, height), interpolation=cv2.INTER_AREA).astype(np.float32)


def _texture(small: np.ndarray) -> np.ndarray:
    across = np.abs(cv2.Sobel(small, -1, 1, 0, ksize=1))
    down = np.abs(cv2.Sobel(small, -1, 0, 1, ksize=1))
    return np.maximum(across, down) > TEXTURE


def _moved(first: np.ndarray, small: np.ndarray, textured: np.ndarray) -> bool:
    if textured.mean() < LEAST_TEXTURE:
        return True
    return bool((np.abs(small - first) > CHANGED)[textured].mean() > MOST_CHANGED)
