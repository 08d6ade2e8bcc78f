"""What a network with memory keeps of a stream, and when that is no longer of use."""

from dataclasses import dataclass, field
from typing import Any

LONGEST_GAP_S = 0.5


@dataclass
class StreamState:
    """
    The state of one stream between two frames.

    :param memory: what the network keeps of the frames before; None if there are none.
    """

    memory: Any = None
    _frame: tuple[object, ...] = field(default=(), init=False)
    _stamp_s: float = field(default=0.0, init=False)

    def advance(self, shape: tuple[int, ...], order: str, stamp_s: float) -> None:
        """
        Forget the memory unless a frame goes on where the last one was.

        It does if its size and channel order are the same, and its stamp is later by at most
        ``LONGEST_GAP_S``.

        :param stamp_s: of the message's header, in seconds.
        """
        frame = (*shape, order)
        gap_s = stamp_s - self._stamp_s
        if frame != self._frame or not 0 < gap_s <= LONGEST_GAP_S:
            self.memory = None
        self._frame, self._stamp_s = frame, stamp_s
