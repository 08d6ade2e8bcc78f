"""Waits until a node and both ends of it have found each other, and counting may start."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from derain_ros.stream.fates import Fate

if TYPE_CHECKING:
    from diagnostic_msgs.msg import DiagnosticStatus

# the frame id of the images that are sent until then
CONNECTING = 'connecting'
FATES = tuple(fate.value for fate in Fate)
# Equal reports, one a second, after which nothing is on its way: two where each image has met one
# of the fates; more where the sum says otherwise, since a newer node may know other fates.
EQUAL_REPORTS, EQUAL_UNKNOWN_REPORTS = 2, 5


def counts(status: DiagnosticStatus) -> Counter[str]:
    """Return how many images the node has received, and what it says became of them."""
    return Counter(
        {
            value.key: int(value.value)
            for value in status.values
            if value.key in ('received', *FATES) and value.value.isdigit()
        }
    )


def is_complete(counted: Counter[str]) -> bool:
    """Tell whether every image that was received has met one of the fates."""
    return counted['received'] == sum(counted[fate] for fate in FATES)


class Handshake:
    """
    Shows images to the node, as a camera that is already running would, until one comes back.

    :ivar baseline: what the node had counted when the handshake was over.
    """

    def __init__(self, send: Callable[[], None]) -> None:
        """
        Begin a handshake.

        :param send: publishes an image whose frame id is ``CONNECTING``.
        """
        self._send = send
        self._returned = False
        self._equal = 0
        self.baseline: Counter[str] = Counter()

    def returned(self) -> None:
        """Note that an image of this frame id has come back."""
        self._returned = True

    def reported(self, counted: Counter[str]) -> None:
        """Note what the node reports: the last images may still be on their way to it."""
        if self._returned:
            self._equal = self._equal + 1 if counted == self.baseline else 1
            self.baseline = counted

    def done(self) -> bool:
        """Tell whether counting may start; till an image has come back, send another one."""
        if not self._returned:
            self._send()
        complete = is_complete(self.baseline)
        return self._equal >= (EQUAL_REPORTS if complete else EQUAL_UNKNOWN_REPORTS)
