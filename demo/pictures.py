"""The demo's pictures: a contact sheet and a side-by-side video, before and after."""

from collections.abc import Iterable
import os
from pathlib import Path

import cv2
import numpy as np

from derain_ros.files import write_atomically
from derain_ros.media.pictures import fit

ROWS = 4
PANEL = (640, 480)


def side_by_side(before: np.ndarray, after: np.ndarray, panel: tuple[int, int]) -> np.ndarray:
    """Put two BGR images of one size beside each other, each fitted into width x height."""
    return np.hstack([fit(image, panel) for image in (before, after)])


def write_sheet(rows: list[tuple[np.ndarray, np.ndarray]], path: Path) -> None:
    """Write pairs of before and after, one under the other, as a PNG."""
    panel = _panel(rows[0][0])
    sheet = np.vstack([side_by_side(*row, panel) for row in rows])
    write_atomically(path, cv2.imencode('.png', sheet)[1].tobytes())


def write_video(pairs: Iterable[tuple[np.ndarray, np.ndarray]], rate: float, path: Path) -> None:
    """
    Write pairs of before and after as a video; whole or not at all.

    :raises OSError: it cannot be written.
    """
    writer, panel, count = None, PANEL, 0
    temporary = path.with_name('partial.mp4')
    try:
        for before, after in pairs:
            if writer is None:
                panel = _panel(before)
                writer = cv2.VideoWriter(
                    str(temporary), cv2.VideoWriter_fourcc(*'mp4v'), rate, (2 * panel[0], panel[1])
                )
            writer.write(side_by_side(before, after, panel))
            count += 1
        if writer is not None:
            writer.release()
            # OpenCV does not tell what it could not write
            if cv2.VideoCapture(str(temporary)).get(cv2.CAP_PROP_FRAME_COUNT) != count:
                raise OSError(f'{path}: cannot be written whole; is the disk full?')
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _panel(image: np.ndarray) -> tuple[int, int]:
    """Return the panel for images like this one: its own size, but no larger than PANEL."""
    height, width = image.shape[:2]
    scale = min(1.0, PANEL[0] / width, PANEL[1] / height)
    # video codecs want even sides
    return round(width * scale) // 2 * 2, round(height * scale) // 2 * 2
