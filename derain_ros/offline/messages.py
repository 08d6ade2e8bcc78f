"""The images and the video of recordings, de-rained and written back into their messages."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

from av.video.frame import VideoFrame
import cv2
import numpy as np

from derain_ros.errors import DerainError, ImageError
from derain_ros.image import compressed, raw
from derain_ros.image.encode import compress, Compression
from derain_ros.image.raw import Frame
from derain_ros.media.bags import in_order, RAW, STORES
from derain_ros.media.videos import samples
from derain_ros.offline.decoding import PacketDecoder, Queued, Record, with_pictures
from derain_ros.offline.job import Job, Pair, Pixels
from derain_ros.offline.overlap import overlapped
from derain_ros.offline.packets import PacketEncoder, stored
from derain_ros.offline.report import Outcome
from derain_ros.offline.serialized import deserialized, Serialization
from derain_ros.stream.inspection import Inspector

JPEG_QUALITY = 95


@dataclass(frozen=True)
class Decoded:
    """
    An image on its way.

    :param picture: of video.
    """

    topic: str
    message: Any
    serialization: Serialization
    frame: Frame
    picture: VideoFrame | None = None


class Topics:
    """The topics of a recording that are de-rained, through all its files."""

    def __init__(self, job: Job, outcome: Outcome) -> None:
        """
        Begin a recording.

        :param outcome: with a stream for each topic; frames and fates are added to them.
        """
        self._job = job
        self._streams = {stream.name: stream for stream in outcome.streams}
        self._inspectors = {topic: Inspector() for topic in self._streams}
        self._decoders: dict[str, PacketDecoder] = {}
        self._encoders = {topic: PacketEncoder() for topic in self._streams}
        # topics of video whose last packet is not ours: the next picture cannot build on it
        self._broken: set[str] = set()
        self._first_ns: dict[str, int] = {}

    def derain(self, records: Iterator[Record]) -> Iterator[Record]:
        """
        De-rain the images among the records of a file, in their order.

        An image that cannot be de-rained stays as it is, and is counted.

        :raises DataError: video has B-frames.
        """
        for queued, result in overlapped(
            with_pictures(records, self._decoders),
            _decode,
            self._infer,
            self._encode,
            jobs=self._job.jobs,
            is_frame=lambda queued: queued.record.channel is not None,
        ):
            yield queued.record if result is None else self._finished(queued, result)

    def _infer(self, decoded: Decoded) -> tuple[Decoded, Pair]:
        rainy = np.ascontiguousarray(in_order(decoded.frame, 'bgr'))
        return decoded, self._job.pair(rainy, self._inspectors[decoded.topic])

    def _encode(self, inferred: tuple[Decoded, Pair]) -> tuple[bytes | VideoFrame, Pair]:
        """Return a message as bytes; of video the picture, to be encoded in its turn."""
        decoded, pair = inferred
        if decoded.picture is not None:
            return stored(pair.derained, decoded.picture), pair
        return _serialized(decoded, pair.derained, self._job.quality), pair

    def _finished(self, queued: Queued, result: Future[tuple[bytes | VideoFrame, Pair]]) -> Record:
        """Return a record with its result, and count it."""
        assert queued.record.channel is not None
        topic, stamp_ns = queued.record.channel.topic, queued.record.stamp_ns
        stream = self._streams[topic]
        time_s = (stamp_ns - self._first_ns.setdefault(topic, stamp_ns)) / 1e9
        try:
            encoded, pair = result.result()
        except DerainError as error:
            stream.add_passed_through(str(error))
            if queued.picture is None:
                self._broken.add(topic)
                return queued.record
            # later pictures must build on a packet of the same encoder
            encoded = stored(samples(queued.picture, 'bgr'), queued.picture)
        else:
            stream.add_derained(time_s, pair)
        if isinstance(encoded, VideoFrame):
            encoded = self._packet(topic, queued, encoded)
        return queued.record._replace(derained=encoded)

    def _packet(self, topic: str, queued: Queued, picture: VideoFrame) -> bytes:
        """Return the message of a packet with another picture."""
        assert queued.message is not None
        assert queued.picture is not None
        message, serialization = queued.message
        is_key = queued.picture.key_frame or topic in self._broken
        self._encoders[topic].encode(picture, message, is_key)
        self._broken.discard(topic)
        return serialization.serialize(message)


def _decode(queued: Queued) -> Decoded:
    """
    Read an image.

    :raises ImageError: it is damaged, or its encoding is none that can be de-rained.
    """
    channel = queued.record.channel
    assert channel is not None
    if queued.picture is not None and queued.message is not None:
        frame = Frame(samples(queued.picture, 'bgr'), 'bgr', None, 'bgr8')
        return Decoded(channel.topic, *queued.message, frame, queued.picture)
    if queued.problem:
        raise ImageError(queued.problem)
    message, serialization = deserialized(queued.record.data, channel, [STORES[channel.encoding]])
    read = raw.read if channel.type == RAW else compressed.read
    return Decoded(channel.topic, message, serialization, read(message))


def _serialized(decoded: Decoded, pixels: Pixels, quality: int | None) -> bytes:
    """Return the bytes of a message with the result in place of its image."""
    frame, message = decoded.frame, decoded.message
    if frame.order == 'rgb':
        pixels = cast(Pixels, cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))
    output: Any = SimpleNamespace(header=message.header, data=array('B'))
    raw.prepare(output, frame)
    raw.finish(output, frame, pixels)
    if decoded.serialization.channel.type == RAW:
        for name in ('height', 'width', 'encoding', 'is_bigendian', 'step'):
            setattr(message, name, getattr(output, name))
        message.data = output.data
    else:
        is_png = bytes(message.data[:4]) == compressed.PNG_BEGIN[:4]
        compression = Compression('png' if is_png else 'jpeg', quality or JPEG_QUALITY)
        compress(output, message, compression)
    message.data = np.frombuffer(message.data, np.uint8)
    return decoded.serialization.serialize(message)
