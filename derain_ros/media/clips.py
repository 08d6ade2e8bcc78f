"""Short videos for people: before and after side by side, as any browser plays them."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, BinaryIO

import av
from av.container import OutputContainer
from av.video.reformatter import Colorspace
import numpy as np
from numpy.typing import NDArray

from derain_ros.media.pictures import fit
from derain_ros.media.videos import EXACT

# of each half
LARGEST_PX = (640, 480)
TICK_S = Fraction(1, 1000)
BT709, LIMITED_RANGE = 1, 1


class ClipWriter:
    """
    Writes H.264 whose frames hold a rainy image on the left, and its de-rained one on the right.

    As halves of one frame the two are never apart in time.
    """

    def __init__(self, target: str | BinaryIO) -> None:
        """
        Open it.

        :param target: name of a file, or an open one; it becomes MP4.
        :raises OSError: it cannot be written to.
        """
        self._output: OutputContainer = av.open(target, 'w', format='mp4')
        self._stream: Any = self._output.add_stream('libx264', rate=25)
        self._stream.options = {'crf': '20', 'preset': 'veryfast'}
        self._panel: tuple[int, int] | None = None
        self._last, self._gap = -1, 0

    def add(self, rainy: NDArray[np.uint8], derained: NDArray[np.uint8], time_s: float) -> None:
        """
        Write a frame; one that is not later than the one before it is left out.

        :param rainy: uint8 BGR [H, W, 3], like ``derained``. Those of other sizes than the first
            are fitted into it.
        """
        if self._panel is None:
            self._panel = panel_px(rainy)
            self._open(2 * self._panel[0], self._panel[1])
        tick = round(time_s / TICK_S)
        if tick <= self._last:
            return
        halves = np.hstack([fit(image, self._panel) for image in (rainy, derained)])
        frame = av.VideoFrame.from_ndarray(halves, format='bgr24').reformat(
            format='yuv420p', dst_colorspace=Colorspace.ITU709, interpolation=EXACT
        )
        self._gap = tick - self._last if self._last >= 0 else 0
        frame.pts, frame.time_base, self._last = tick, TICK_S, tick
        self._mux(frame)

    def close(self) -> None:
        """Write what is still to be written."""
        if self._panel is not None:
            self._mux(None)
        self._output.close()

    def __enter__(self) -> ClipWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _mux(self, frame: av.VideoFrame | None) -> None:
        for packet in self._stream.encode(frame):
            packet.duration = self._gap  # counts for the last one, which no other ends
            self._output.mux(packet)

    def _open(self, width: int, height: int) -> None:
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = 'yuv420p'
        context = self._stream.codec_context
        context.time_base = self._stream.time_base = TICK_S
        context.color_range, context.colorspace = LIMITED_RANGE, BT709
        context.color_primaries, context.color_trc = BT709, BT709


def panel_px(image: NDArray[np.uint8]) -> tuple[int, int]:
    """Return width and height of an image in a clip: its own, but at most ``LARGEST_PX``."""
    height, width = image.shape[:2]
    scale = min(1.0, LARGEST_PX[0] / width, LARGEST_PX[1] / height)
    # H.264 wants even sides
    return max(2, round(width * scale) // 2 * 2), max(2, round(height * scale) // 2 * 2)
