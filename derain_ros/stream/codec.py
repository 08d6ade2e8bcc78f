"""What a stream needs to know of its messages."""

from collections.abc import Hashable
from typing import Any, Protocol

from derain_ros.image.raw import Frame, Pixels


class Codec(Protocol):
    """
    Messages of one kind to frames, and results to messages.

    One thread calls ``prepare`` and ``finish``, one image after the other; a message that
    ``finish`` returns is published before the next ``prepare``. Any thread calls the others.
    """

    def kind(self, message: Any) -> Hashable:
        """Return what frames of one batch must have in common, without decoding anything."""

    def is_consistent(self, message: Any) -> bool:
        """Return whether the message is a whole image that may be passed through."""

    def read(self, message: Any) -> Frame:
        """
        Return the frame of a message.

        :raises ImageError: it has none.
        """

    def prepare(self, frame: Frame) -> Pixels:
        """Return the writable array that receives the result, uint8 [H, W, 3], C-contiguous."""

    def finish(self, message: Any, frame: Frame, pixels: Pixels) -> Any:
        """Return the message that carries the result of ``message``, with its header."""
