"""Bags as other recorders write them, of photographs that are told apart by their brightness."""

from collections.abc import Callable, Sequence
import contextlib
from pathlib import Path
import sqlite3
from typing import Any

import cv2
import numpy as np
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Ros2Writer
from rosbags.typesys import get_typestore, Stores

from derain_ros.media.bags import BagIndex, BagReader

TOPIC = '/front/compressed'
COMPRESSED = 'sensor_msgs/msg/CompressedImage'
# one kind of bag each: how it is written, and the file in it that holds the messages
KINDS = {
    'ros1': ('rain.bag', 'mcap', 'rain.bag'),
    'mcap': ('rain', 'mcap', 'rain/rain.mcap'),
    'sqlite3': ('rain', 'sqlite3', 'rain/rain.db3'),
}


def record(kind: str, photos: Path, folder: Path) -> str:
    """Write a bag of that kind, of photographs at two images per second; return its name."""
    from training.write_bag import write_bag

    name, storage, _ = KINDS[kind]
    write_bag(photos, folder / name, topic=TOPIC, rate=2.0, storage=storage)
    return name


def shades(frames: Sequence[np.ndarray]) -> list[int]:
    """Return the mean grey level of each, to tens: it says which photograph it is."""
    return [round(float(frames[index].mean()), -1) for index in range(len(frames))]


def grey(shade: int) -> np.ndarray:
    """Return a picture of one shade, uint8 BGR."""
    return np.full((32, 48, 3), shade, np.uint8)


def opened_writer(path: Path, kind: str, compression: dict[str, Any]) -> tuple[Any, Any, Any]:
    """Return types, their serializer and a writer of rosbags for a bag of a kind of ``KINDS``."""
    ros1 = kind == 'ros1'
    types = get_typestore(Stores.ROS1_NOETIC if ros1 else Stores.ROS2_HUMBLE)
    writer = (
        Ros1Writer(path)
        if ros1
        else Ros2Writer(path, version=9, storage_plugin=StoragePlugin[kind.upper()])
    )
    if compression:
        writer.set_compression(**compression)
    return types, types.serialize_ros1 if ros1 else types.serialize_cdr, writer


def write_bag(
    path: Path,
    kind: str,
    *,
    stamps_ns: Sequence[int] = tuple(range(0, 10**9, 10**8)),
    topics: Sequence[str] = (TOPIC,),
    picture: Callable[[int], bytes] = lambda index: cv2.imencode('.png', grey(10 * index))[1],
    message_format: str = 'png',
    **options: object,
) -> Path:
    """
    Write a bag of compressed pictures, and return its path.

    :param kind: of ``KINDS``.
    :param picture: the data of the message of a number, by default ever brighter.
    :param options: for the writer of rosbags.
    """
    ros1 = kind == 'ros1'
    types, serialize, writer = opened_writer(path, kind, options)
    header, time, message = (
        types.types[name]
        for name in ('std_msgs/msg/Header', 'builtin_interfaces/msg/Time', COMPRESSED)
    )
    with writer:
        for topic in topics:
            connection = writer.add_connection(topic, COMPRESSED, typestore=types)
            for index, stamp_ns in enumerate(stamps_ns):
                sequence = {'seq': index} if ros1 else {}
                head = header(**sequence, stamp=time(0, 0), frame_id='camera')
                data = np.frombuffer(picture(index), np.uint8)
                image = message(head, message_format, data)
                writer.write(connection, stamp_ns, serialize(image, COMPRESSED))
    return path


def forget_definitions(database: Path) -> None:
    """Make an SQLite bag as Humble records it: it does not say what its messages hold."""
    with contextlib.closing(sqlite3.connect(database)) as bag:
        bag.execute('DROP TABLE message_definitions')
        bag.execute('UPDATE schema SET schema_version = 3')
        bag.commit()


def rechunked(path: Path, **start: str) -> Path:
    """Write an MCAP file anew in small chunks, as a recorder does; rosbags makes a single one."""
    from mcap.reader import make_reader
    from mcap.writer import Writer

    copy = path.with_suffix('.copy')
    with path.open('rb') as source, copy.open('wb') as target:
        writer = Writer(target, chunk_size=20_000)
        writer.start(**{'profile': 'ros2', **start})
        channels = {}
        for schema, about, message in make_reader(source).iter_messages():
            if about.topic not in channels:
                channels[about.topic] = writer.register_channel(
                    about.topic,
                    about.message_encoding,
                    writer.register_schema(schema.name, schema.encoding, schema.data),
                    about.metadata,
                )
            writer.add_message(
                channels[about.topic], message.log_time, message.data, message.publish_time
            )
        writer.finish()
    return copy.replace(path)


def bag_shades(index: BagIndex, topic: str = TOPIC) -> list[int]:
    """Read all images of a topic, and return their grey levels."""
    with BagReader(index) as reader:
        return [int(reader.read(place).pixels.mean()) for place in index.of(topic)]


def storage_file(kind: str, bag: Path) -> Path:
    """Return the file that holds the messages of a bag that is named as in ``KINDS``."""
    return bag if kind == 'ros1' else bag / f'{bag.name}.{"db3" if kind == "sqlite3" else kind}'
