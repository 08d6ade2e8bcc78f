"""What rewriting has in common in all formats."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from derain_ros.media.bags import KINDS
from derain_ros.media.storage.base import Channel
from derain_ros.offline.messages import Record

# video as messages, of which each needs the ones before it
VIDEO_TYPES = ('ffmpeg_image_transport_msgs/msg/FFMPEGPacket', 'foxglove_msgs/msg/CompressedVideo')


@dataclass(frozen=True)
class Rewriting:
    """
    What is done with the messages of a recording.

    :param topics: to de-rain, and the name of the de-rained topic; that of the original where
        it takes its place.
    :param derain: replaces the images among records, in their order.
    :param advance: is told how many bytes of the file are read.
    :param videos: topics of video that were met; they are copied as they are.
    """

    topics: Mapping[str, str]
    derain: Callable[[Iterator[Record]], Iterator[Record]]
    advance: Callable[[int], None]
    videos: set[str] = field(default_factory=set)

    def wants(self, channel: Channel) -> bool:
        """Tell whether the messages of a channel are images to de-rain."""
        if channel.type in VIDEO_TYPES:
            self.videos.add(channel.topic)
        return channel[1:] in KINDS and channel.topic in self.topics

    def is_beside(self, channel: Channel) -> bool:
        """Tell whether the originals stay."""
        return self.topics[channel.topic] != channel.topic
