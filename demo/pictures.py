"""The demo's video: every frame before and after, side by side, as any browser plays it."""

from collections.abc import Iterable
from fractions import Fraction
import os
from pathlib import Path

import av
import numpy as np

from derain_ros.media.pictures import fit

PANEL_PX = (640, 480)


def write_video(pairs: Iterable[tuple[np.ndarray, np.ndarray]], rate: float, path: Path) -> None:
    """
    Write pairs of before and after as H.264, each side by side; whole or not at all.

    :param pairs: uint8 BGR [H, W, 3]; those of other sizes than the first are fitted into it.
    :raises OSError: it cannot be written.
    """
    temporary = path.with_name('partial.mp4')
    panel = None
    try:
        with av.open(str(temporary), 'w') as output:
            stream = output.add_stream('libx264', rate=Fraction(rate).limit_denominator(1000))
            stream.options = {'crf': '18', 'preset': 'veryfast'}
            for pair in pairs:
                if panel is None:
                    panel = panel_px(pair[0])
                    stream.width, stream.height = 2 * panel[0], panel[1]
                picture = np.hstack([fit(image, panel) for image in pair])
                frame = av.VideoFrame.from_ndarray(picture, format='bgr24')
                output.mux(stream.encode(frame.reformat(format='yuv420p')))
            output.mux(stream.encode(None))
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def panel_px(image: np.ndarray) -> tuple[int, int]:
    """Return width and height of an image in the video: its own, but at most PANEL_PX."""
    height, width = image.shape[:2]
    scale = min(1.0, PANEL_PX[0] / width, PANEL_PX[1] / height)
    # H.264 wants even sides
    return max(2, round(width * scale) // 2 * 2), max(2, round(height * scale) // 2 * 2)
