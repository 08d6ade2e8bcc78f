"""
The images of a recording: ROS 1 bags; rosbag2 in sqlite3 or MCAP, plain, split or compressed.

Its files are looked through once; from then on any image is a seek away::

    index = index_bag(Path('rain'), scratch)
    with BagReader(index) as reader:
        for place in index.of('/camera/image_raw'):
            frame = reader.read(place)

The messages of other topics cost nothing, and no definition of theirs is parsed. Of a damaged
recording the images before the damage are found.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
import struct
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from rosbags.typesys import get_typestore, Stores
import zstandard

from derain_ros.errors import DataError, ImageError
from derain_ros.image import compressed, raw
from derain_ros.image.raw import Frame, Pixels
from derain_ros.media.recordings import made_readable, opened, storage_files, ZSTD_MAGIC
from derain_ros.media.storage.base import Storage
from derain_ros.order import Order

RAW, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
# In ROS 2 these two types have never changed, so the recorder's definitions are not needed.
STORES = {'cdr': get_typestore(Stores.ROS2_HUMBLE), 'ros1': get_typestore(Stores.ROS1_NOETIC)}
KINDS = [(kind, encoding) for kind in (RAW, COMPRESSED) for encoding in STORES]
# messages of video, of which each needs those before it; they are found, but not read here
FFMPEG_PACKET = 'ffmpeg_image_transport_msgs/msg/FFMPEGPacket'
FOXGLOVE_VIDEO = 'foxglove_msgs/msg/CompressedVideo'
VIDEO_TYPES = (FFMPEG_PACKET, FOXGLOVE_VIDEO)
VIDEO_KINDS = [(kind, encoding) for kind in VIDEO_TYPES for encoding in STORES]
# Where an image is: its topic and its kind by their numbers, the file by its own, and its place
# there. Arrays, because a list of millions of objects takes gigabytes.
PLACE = np.dtype(
    [(name, np.int64) for name in ('stamp_ns', 'topic', 'kind', 'file', 'block', 'offset')]
)
ROW = struct.Struct('=6q')
LATEST_NS = 2**63 - 1  # a damaged stamp of MCAP may be later
# rosbag2 may compress each message; its size before is that of an image, not of a bomb
LARGEST_MESSAGE_BYTES = 2**30


@dataclass(frozen=True)
class BagIndex:
    """
    Where the images of a recording are.

    :param path: of the recording.
    :param files: that are read, some of them copies.
    :param topics: that have images, by name.
    :param places: of all images, [N] of ``PLACE``, by stamp; those of one stamp as recorded.
    :param problems: what is wrong with the recording, each with the name of its file.
    """

    path: Path
    files: list[Path]
    topics: list[str]
    places: NDArray[Any]
    problems: list[str]

    def of(self, topic: str) -> NDArray[Any]:
        """Return the places of one topic, [N] of ``PLACE``."""
        number = self.topics.index(topic)
        places: NDArray[Any] = self.places[self.places['topic'] == number]
        return places

    def chosen(self, topic: str | None) -> str:
        """
        Return the topic if it is there, or the only one if none is named.

        :raises DataError: it is not there, or there are several or none to choose from.
        """
        if topic is None and len(self.topics) == 1:
            return self.topics[0]
        if not self.topics:
            raise DataError(f'{self.path}: has no topic of images ({RAW} or CompressedImage)')
        if topic is None:
            raise DataError(
                f'{self.path}: has several image topics; choose one of: {", ".join(self.topics)}'
            )
        if topic not in self.topics:
            raise DataError(
                f'{self.path}: has no image topic {topic}; it has: {", ".join(self.topics)}'
            )
        return topic


def index_bag(
    path: Path, scratch: Path, kinds: Sequence[tuple[str, str]] = tuple(KINDS)
) -> BagIndex:
    """
    Look through a recording for its images.

    :param path: a file, or the folder of one.
    :param scratch: folder for files that must be decompressed or completed first; it exists, and
        what lies there must stay as long as the index is used.
    :param kinds: types and encodings of messages to find, ``KINDS`` first.
    :raises DataError: nothing of it can be read.
    :raises OSError: the scratch folder cannot be written to, or is full.
    """
    if not path.exists():
        raise DataError(f'{path}: no such bag')
    parts, problems = storage_files(path)
    files, topics, places = [], dict[str, int](), bytearray()
    for number, part in enumerate(parts):
        file, problem = made_readable(part, scratch, number)
        files.append(file)
        problems += [problem] if problem else []
        try:
            with opened(file) as storage:
                for place in storage.places(lambda channel: channel[1:] in kinds):
                    kind = kinds.index(place.channel[1:])
                    topic = topics.setdefault(place.channel.topic, len(topics))
                    where = (topic, kind, number, place.block, place.offset)
                    places += ROW.pack(min(place.stamp_ns, LATEST_NS), *where)
        except Exception as error:  # damage shows in many ways
            problems.append(f'{part}: damaged ({str(error) or type(error).__name__})')
    if not places and problems:
        raise DataError(
            f'{path}: not a readable bag ({"; ".join(problems)}); record it again or take it out'
        )
    names = sorted(topics)
    table = np.frombuffer(places, PLACE).copy()
    # by name, for people
    table['topic'] = np.array([names.index(topic) for topic in topics], np.int64)[table['topic']]
    return BagIndex(path, files, names, np.sort(table, order='stamp_ns', kind='stable'), problems)


class BagReader:
    """Reads the images of an index; a context, since it keeps the file of the last one open."""

    def __init__(self, index: BagIndex) -> None:
        """Open nothing yet."""
        self._index = index
        self._stack = ExitStack()
        self._storage: tuple[int, Storage] | None = None

    def read(self, place: np.void) -> Frame:
        """
        Read an image.

        :param place: of ``PLACE``.
        :raises ImageError: it is damaged, or its encoding is none that can be de-rained.
        :raises OSError: the file is not there any more.
        """
        kind, encoding = KINDS[place['kind']]
        try:
            data = self._open(int(place['file'])).read(int(place['block']), int(place['offset']))
            if encoding == 'cdr' and data.startswith(ZSTD_MAGIC):
                data = decompressed(data)
            store = STORES[encoding]
            deserialize = store.deserialize_cdr if encoding == 'cdr' else store.deserialize_ros1
            message: Any = deserialize(data, kind)
        except (FileNotFoundError, PermissionError):
            raise
        except Exception as error:  # damage shows in many ways
            reason = str(error) or type(error).__name__
            raise ImageError(f'its message is damaged ({reason})') from error
        return raw.read(message) if kind == RAW else compressed.read(message)

    def _open(self, number: int) -> Storage:
        if self._storage is None or self._storage[0] != number:
            self._stack.close()
            storage = self._stack.enter_context(opened(self._index.files[number]))
            self._storage = number, storage
        return self._storage[1]

    def __enter__(self) -> BagReader:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()
        self._storage = None


def in_order(frame: Frame, order: Order) -> Pixels:
    """Return the pixels of a frame, uint8 [H, W, 3], with its channels in that order."""
    if frame.order == order:
        return frame.pixels
    return cast(Pixels, cv2.cvtColor(frame.pixels, cv2.COLOR_BGR2RGB))  # both ways are one


def decompressed(data: bytes) -> bytes:
    """
    Decompress a message that rosbag2 compressed.

    :raises ImageError: it claims to be too large.
    """
    if zstandard.frame_content_size(data) > LARGEST_MESSAGE_BYTES:
        raise ImageError('it claims to be larger than any image')
    return zstandard.ZstdDecompressor().decompress(data, max_output_size=LARGEST_MESSAGE_BYTES)
