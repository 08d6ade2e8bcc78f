"""Serialized image messages of recordings, de-rained and serialized again."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast, NamedTuple

import cv2
import numpy as np
import zstandard

from derain_ros.errors import DerainError, ImageError
from derain_ros.image import compressed, raw
from derain_ros.image.encode import compress, Compression
from derain_ros.image.raw import Frame
from derain_ros.media.bags import decompressed, in_order, RAW, STORES
from derain_ros.media.recordings import ZSTD_MAGIC
from derain_ros.media.storage.base import Channel
from derain_ros.offline.job import Job, Pair, Pixels
from derain_ros.offline.overlap import overlapped
from derain_ros.offline.report import Outcome, Stream
from derain_ros.stream.inspection import Inspector

JPEG_QUALITY = 95
PAIR_EVERY = 50  # frames


class Record(NamedTuple):
    """
    A part of a recording, in its place.

    :param channel: of an image that is to be de-rained; None of everything else.
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


@dataclass(frozen=True)
class Decoded:
    """An image on its way: its message without the data, and its frame."""

    channel: Channel
    message: Any
    frame: Frame
    zipped: bool
    big_endian: bool


def derain_records(
    records: Iterator[Record], job: Job, streams: dict[str, Stream], outcome: Outcome
) -> Iterator[Record]:
    """
    De-rain the images among the records of a recording, in their order.

    An image that cannot be de-rained stays as it is, and is counted.

    :param streams: by topic; frames and fates are added to them.
    """
    inspectors = {topic: Inspector() for topic in streams}

    def infer(decoded: Decoded) -> tuple[Decoded, Pair]:
        rainy = np.ascontiguousarray(in_order(decoded.frame, 'bgr'))
        return decoded, job.pair(rainy, inspectors[decoded.channel.topic])

    def encode(result: tuple[Decoded, Pair]) -> tuple[bytes, Pair]:
        return _encode(*result, job.quality), result[1]

    first_ns: dict[str, int] = {}
    for record, result in overlapped(
        records, _decode, infer, encode, jobs=job.jobs, is_frame=lambda one: bool(one.channel)
    ):
        if result is None or record.channel is None:
            yield record
            continue
        topic = record.channel.topic
        time_s = (record.stamp_ns - first_ns.setdefault(topic, record.stamp_ns)) / 1e9
        try:
            data, pair = result.result()
        except DerainError as error:
            streams[topic].add_passed_through(str(error))
            yield record
        else:
            if len(streams[topic].rain) % PAIR_EVERY == 0:
                outcome.add_pair(f'{topic} at {time_s:.1f} s', pair)
            streams[topic].add_derained(time_s, pair.rain)
            yield record._replace(derained=data)


def _decode(record: Record) -> Decoded:
    """
    Read an image.

    :raises ImageError: it is damaged, or its encoding is none that can be de-rained.
    """
    assert record.channel is not None
    kind, encoding = record.channel.type, record.channel.encoding
    try:
        zipped = encoding == 'cdr' and record.data.startswith(ZSTD_MAGIC)
        data = decompressed(record.data) if zipped else record.data
        store = STORES[encoding]
        deserialize = store.deserialize_cdr if encoding == 'cdr' else store.deserialize_ros1
        message: Any = deserialize(data, kind)
    except ImageError:
        raise
    except Exception as error:  # damage shows in many ways
        reason = str(error) or type(error).__name__
        raise ImageError(f'its message is damaged ({reason})') from error
    frame = raw.read(message) if kind == RAW else compressed.read(message)
    return Decoded(record.channel, message, frame, zipped, encoding == 'cdr' and data[1] == 0)


def _encode(decoded: Decoded, pair: Pair, quality: int | None) -> bytes:
    """Return the bytes of a message with the result in place of its image."""
    frame, message, kind = decoded.frame, decoded.message, decoded.channel.type
    pixels = pair.derained
    if frame.order == 'rgb':
        pixels = cast(Pixels, cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))
    output: Any = SimpleNamespace(header=message.header, data=array('B'))
    raw.prepare(output, frame)
    raw.finish(output, frame, pixels)
    if kind == RAW:
        for name in ('height', 'width', 'encoding', 'is_bigendian', 'step'):
            setattr(message, name, getattr(output, name))
        message.data = output.data
    else:
        is_png = bytes(message.data[:4]) == compressed.PNG_BEGIN[:4]
        compression = Compression('png' if is_png else 'jpeg', quality or JPEG_QUALITY)
        compress(output, message, compression)
    message.data = np.frombuffer(message.data, np.uint8)
    store = STORES[decoded.channel.encoding]
    if decoded.channel.encoding == 'ros1':
        return bytes(store.serialize_ros1(message, kind))
    data = store.serialize_cdr(message, kind, little_endian=not decoded.big_endian)
    return zstandard.compress(data) if decoded.zipped else bytes(data)
