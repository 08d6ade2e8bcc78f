"""
What the storage formats have in common.

A format finds its messages once, without parsing any definition of their types, and reads any of
them again by its place. So neither a type that is foreign to us nor a message without a stamp of
its own is in the way of the others.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol


class Channel(NamedTuple):
    """
    What the messages of one publisher have in common.

    :param type: as ROS 2 names it, ``sensor_msgs/msg/Image``.
    :param encoding: of the bytes of a message: ``cdr`` of ROS 2, ``ros1``, or another.
    """

    topic: str
    type: str
    encoding: str


class Place(NamedTuple):
    """
    Where a message is in its file.

    :param stamp_ns: when it was recorded.
    :param block: chunk, row or record.
    :param offset: of the message in its block.
    """

    channel: Channel
    stamp_ns: int
    block: int
    offset: int


class Storage(Protocol):
    """One file of a recording, whole or damaged."""

    def places(self, wanted: Callable[[Channel], bool]) -> Iterator[Place]:
        """
        Find the messages of the wanted channels, in the order of the file.

        :raises Exception: of whatever kind, after the last message before some damage.
        """

    def read(self, block: int, offset: int) -> bytes:
        """
        Read the message at a place.

        :raises Exception: of whatever kind, where the file is damaged there.
        """

    def close(self) -> None:
        """Close the file."""


def type_name(name: str) -> str:
    """Return the name of a message type as ROS 2 has it: ``a/b`` and ``a/msg/b`` are one."""
    package, _, message = name.rpartition('/')
    return f'{package.removesuffix("/msg")}/msg/{message}'
