"""The demo's video: every frame before and after, side by side, as any browser plays it."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from derain_ros.media.clips import ClipWriter
from derain_ros.media.recordings import draft


def write_video(pairs: Iterable[tuple[np.ndarray, np.ndarray]], rate: float, path: Path) -> None:
    """
    Write pairs of before and after as H.264, each side by side; whole or not at all.

    :param pairs: uint8 BGR [H, W, 3]; those of other sizes than the first are fitted into it.
    :param rate: frames per second, at most 1000.
    :raises OSError: it cannot be written.
    """
    with draft(path) as partial, ClipWriter(str(partial)) as clip:
        for index, (before, after) in enumerate(pairs):
            clip.add(before, after, index / rate)
