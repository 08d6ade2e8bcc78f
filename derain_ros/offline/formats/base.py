"""What rewriting has in common in all formats."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from derain_ros.media.bags import KINDS, VIDEO_KINDS
from derain_ros.media.storage.base import Channel
from derain_ros.offline.decoding import Record

DERAINED_KINDS = (*KINDS, *VIDEO_KINDS)
# is told how many more bytes of a file are read
Advance = Callable[[int], None]


@dataclass(frozen=True)
class Rewriting:
    """
    What is done with the messages of a recording.

    :param topics: to de-rain, and the name of the de-rained topic; that of the original where
        it takes its place.
    :param derain: replaces the images among records, in their order.
    :param metadata: replaces what rosbag2 says of the recording, YAML.
    """

    topics: Mapping[str, str]
    derain: Callable[[Iterator[Record]], Iterator[Record]]
    metadata: Callable[[str], str]

    def wants(self, channel: Channel) -> bool:
        """Tell whether the messages of a channel are images or video to de-rain."""
        return channel[1:] in DERAINED_KINDS and channel.topic in self.topics

    def is_beside(self, channel: Channel) -> bool:
        """Tell whether the originals stay."""
        return self.topics[channel.topic] != channel.topic
