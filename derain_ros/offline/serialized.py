"""Messages of recordings as bytes: read into objects, and written back in the same way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rosbags.typesys.store import Typestore
import zstandard

from derain_ros.errors import ImageError
from derain_ros.media.bags import decompressed
from derain_ros.media.recordings import ZSTD_MAGIC
from derain_ros.media.storage.base import Channel


@dataclass(frozen=True)
class Serialization:
    """
    How a message is serialized.

    :param zipped: whether rosbag2 compressed it.
    """

    channel: Channel
    store: Typestore
    zipped: bool
    big_endian: bool

    def serialize(self, message: Any) -> bytes:
        """Return the bytes of a message."""
        kind = self.channel.type
        if self.channel.encoding == 'ros1':
            return bytes(self.store.serialize_ros1(message, kind))
        data = self.store.serialize_cdr(message, kind, little_endian=not self.big_endian)
        return zstandard.compress(data) if self.zipped else bytes(data)


def deserialized(
    data: bytes, channel: Channel, stores: Sequence[Typestore]
) -> tuple[Any, Serialization]:
    """
    Read a message.

    :param stores: with definitions of its type; the first that fits is taken.
    :raises ImageError: it is damaged.
    """
    is_cdr = channel.encoding == 'cdr'
    zipped = is_cdr and data.startswith(ZSTD_MAGIC)
    reason: Exception | None = None
    for store in stores:
        try:
            plain = decompressed(data) if zipped else data
            deserialize = store.deserialize_cdr if is_cdr else store.deserialize_ros1
            message = deserialize(plain, channel.type)
            return message, Serialization(channel, store, zipped, is_cdr and plain[1] == 0)
        except ImageError:
            raise
        except Exception as error:  # damage shows in many ways
            reason = error
    text = str(reason) or type(reason).__name__
    raise ImageError(f'its message is damaged ({text})') from reason
