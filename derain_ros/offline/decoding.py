"""
The pictures of video in messages, each with the message of its packet.

Every packet is decoded, in the order of its topic; a decoder may hold pictures back, and records
of all topics wait behind them, so that their order stays.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast, NamedTuple

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from derain_ros.errors import DataError, ImageError
from derain_ros.media.bags import VIDEO_TYPES
from derain_ros.media.storage.base import Channel
from derain_ros.offline.packets import codec_of, STORES
from derain_ros.offline.serialized import deserialized, Serialization

# more than H.264 and HEVC let a decoder hold back
MOST_WAITING = 32
NO_PICTURE = 'no picture comes of its packet: it is damaged, or builds on others that are missing'


class Record(NamedTuple):
    """
    A part of a recording, in its place.

    :param channel: of an image or a packet that is to be de-rained; None of everything else.
    :param about: what its format needs to write it.
    :param derained: the message with the result; None where there is none.
    """

    data: bytes
    channel: Channel | None
    stamp_ns: int
    about: Any
    derained: bytes | None = None

    @property
    def result(self) -> bytes:
        """The de-rained message; what it was where there is none."""
        return self.data if self.derained is None else self.derained


@dataclass
class Queued:
    """
    A record on its way.

    :param message: of a packet of video, with how it was serialized.
    :param picture: of a packet, decoded.
    :param problem: why there is no picture.
    """

    record: Record
    message: tuple[Any, Serialization] | None = None
    picture: VideoFrame | None = None
    problem: str = ''

    @property
    def is_video(self) -> bool:
        """Whether it is a packet to de-rain."""
        return self.record.channel is not None and self.record.channel.type in VIDEO_TYPES

    @property
    def is_settled(self) -> bool:
        """Whether nothing more will be known of it."""
        return not self.is_video or self.picture is not None or self.problem != ''


class PacketDecoder:
    """Decodes the packets of a topic, in their order."""

    def __init__(self, channel: Channel) -> None:
        """Open nothing yet."""
        self._channel = channel
        self._codec: VideoCodecContext | None = None
        self._count = 0
        self._last = -1
        self._waiting: dict[int, Queued] = {}

    def take(self, queued: Queued) -> None:
        """
        Decode a packet, and settle it or others before it.

        :raises DataError: pictures are in another order than packets.
        """
        number, self._count = self._count, self._count + 1
        self._waiting[number] = queued
        try:
            queued.message = deserialized(
                queued.record.data, self._channel, STORES[self._channel.encoding]
            )
            codec = codec_of(queued.message[0])
            if self._codec is None or self._codec.name != codec:
                self._codec = cast(VideoCodecContext, av.CodecContext.create(codec, 'r'))
                self._codec.thread_type = 'SLICE'  # that of frames would hold some back
            packet = av.Packet(queued.message[0].data.tobytes())
            packet.pts = number
            self._settle(self._codec.decode(packet), number - MOST_WAITING)
        except av.FFmpegError:
            self._waiting.pop(number).problem = NO_PICTURE
        except ImageError as error:
            self._waiting.pop(number).problem = str(error)

    def finish(self) -> None:
        """Settle the packets that wait; those after them need a key frame."""
        if self._waiting and self._codec is not None:
            self._settle(self._codec.decode(None), self._count)
            self._codec = None

    def _settle(self, pictures: list[VideoFrame], oldest: int) -> None:
        """Give pictures to their packets, of which those before the oldest wait no longer."""
        for picture in pictures:
            number = cast(int, picture.pts)
            if number < self._last:
                raise DataError(
                    f'{self._channel.topic} has B-frames, which are recorded in another order '
                    'than shown; leave it out with --topics'
                )
            self._last = number
            self._waiting.pop(number).picture = picture
        for number in [each for each in self._waiting if each < max(self._last, oldest)]:
            self._waiting.pop(number).problem = NO_PICTURE


def with_pictures(
    records: Iterator[Record], decoders: dict[str, PacketDecoder]
) -> Iterator[Queued]:
    """
    Decode the video among the records of a file, and return all records in their order.

    :param decoders: by topic; they go on where the file before this one ended.
    :raises DataError: the pictures of a topic are in another order than its packets.
    """
    waiting: deque[Queued] = deque()
    for record in records:
        queued = Queued(record)
        waiting.append(queued)
        if queued.is_video and record.channel is not None:
            topic = record.channel.topic
            if topic not in decoders:
                decoders[topic] = PacketDecoder(record.channel)
            decoders[topic].take(queued)
        while waiting and waiting[0].is_settled:
            yield waiting.popleft()
    for decoder in decoders.values():
        decoder.finish()
    yield from waiting
