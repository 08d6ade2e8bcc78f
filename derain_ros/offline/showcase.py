"""What the page shows of an input: frames before and after, and the beginning of each stream."""

from __future__ import annotations

from io import BytesIO

from derain_ros.media.clips import ClipWriter
from derain_ros.media.gallery import Shot
from derain_ros.offline.job import Pair

SHOTS, SHOT_EVERY_S = 2, 5.0
CLIP_S = 5.0


class Showcase:
    """
    The frames of one stream that are shown.

    :param shots: name, rainy and de-rained image, uint8 RGB [H, W, 3] each.
    """

    def __init__(self, name: str) -> None:
        """Show nothing yet."""
        self.name = name
        self.shots: list[Shot] = []
        self._start_s: float | None = None
        self._file = BytesIO()
        self._clip: ClipWriter | None = None

    def add(self, time_s: float, pair: Pair) -> None:
        """
        Show a frame, if it is one of those that are shown.

        :param time_s: since any moment, the same for all frames of the stream.
        """
        self._start_s = time_s if self._start_s is None else self._start_s
        time_s -= self._start_s
        if len(self.shots) < SHOTS and time_s >= SHOT_EVERY_S * len(self.shots):
            # copies, because views would keep the buffers of their owners
            rainy, derained = (image[..., ::-1].copy() for image in (pair.rainy, pair.derained))
            name = f'{self.name} at {time_s:.1f} s' if time_s else self.name
            self.shots.append((name, rainy, derained))
        if 0 < time_s < CLIP_S:  # a photograph is a stream of one frame, and has no clip
            self._clip = self._clip or ClipWriter(self._file)
            self._clip.add(pair.rainy, pair.derained, time_s)

    def clip(self) -> bytes:
        """Return the beginning of the stream as MP4; nothing if it is a single frame."""
        if self._clip is not None:
            self._clip.close()
        return self._file.getvalue()
