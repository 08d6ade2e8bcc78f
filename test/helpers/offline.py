"""Recordings with cameras and other topics, as a car writes them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from rosbags.highlevel import AnyReader
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.typesys import get_typestore, Stores
from rosbags.typesys.store import Typestore

from helpers.bags import opened_writer

RAW_TOPIC, JPEG_TOPIC = '/front/image_raw', '/rear/image_raw/compressed'
IMAGE, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
STRING = 'std_msgs/msg/String'
OTHERS = [f'/other_{number}' for number in range(3)]
LATCHED = Qos(
    QosHistory.KEEP_LAST,
    7,
    QosReliability.RELIABLE,
    QosDurability.TRANSIENT_LOCAL,
    QosTime(2147483647, 4294967295),
    QosTime(2147483647, 4294967295),
    QosLiveliness.AUTOMATIC,
    QosTime(2147483647, 4294967295),
    False,
)


def darker(frame: np.ndarray) -> np.ndarray:
    """Stand for a model: take five grey levels away."""
    return np.maximum(frame, 5) - 5


def scene(index: int, height: int = 48, width: int = 64) -> np.ndarray:
    """Return a picture with contrast, another for each number, uint8 [H, W, 3]."""
    rows, columns = np.mgrid[0:height, 0:width]
    waves = [120 + 80 * np.sin(rows / 9 + columns / 7 + index + shift) for shift in range(3)]
    return np.stack(waves, axis=-1).astype(np.uint8)


def write_drive(
    path: Path,
    kind: str,
    frames: int = 12,
    size: tuple[int, int] = (48, 64),
    **compression: object,
) -> Path:
    """
    Write a bag of a raw camera, one of JPEG, and other topics between them.

    :param size: height and width of the frames.
    :param compression: of the writer of rosbags.
    """
    ros1 = kind == 'ros1'
    types, serialize, writer = opened_writer(path, kind, compression)
    about = {'latching': 1} if ros1 else {'offered_qos_profiles': [LATCHED]}
    kinds = {**dict.fromkeys(OTHERS, STRING), RAW_TOPIC: IMAGE, JPEG_TOPIC: COMPRESSED}
    with writer:
        connections = {
            topic: writer.add_connection(topic, name, typestore=types, **about)
            for topic, name in kinds.items()
        }
        for index in range(frames):
            for number, (topic, message) in enumerate(_messages(types, index, size)):
                data = serialize(message, message.__msgtype__)
                writer.write(connections[topic], 10**9 + index * 10**8 + number, data)
    return path


def _messages(types: Typestore, index: int, size: tuple[int, int]) -> Iterator[tuple[str, object]]:
    """Return what a car records at one moment, by topic."""
    names = ('std_msgs/msg/Header', 'builtin_interfaces/msg/Time', IMAGE, COMPRESSED, STRING)
    header, time, image, compressed, string = (types.types[name] for name in names)
    sequence = {'seq': index} if 'seq' in header.__dataclass_fields__ else {}
    head, picture = (
        header(**sequence, stamp=time(1, index), frame_id='camera'),
        scene(index, *size),
    )
    yield RAW_TOPIC, image(head, *size, 'rgb8', 0, 3 * size[1], picture.ravel())
    for topic in OTHERS:
        yield topic, string(f'{index} of {topic}')
    jpeg = cv2.imencode('.jpg', picture)[1].ravel()
    yield JPEG_TOPIC, compressed(head, 'bgr8; jpeg compressed bgr8', jpeg)


class Recorded(NamedTuple):
    """A message as it was recorded, with what its connection says."""

    topic: str
    kind: str
    stamp_ns: int
    data: bytes
    about: object


def recorded(path: Path) -> Iterator[Recorded]:
    """Read all messages of a bag with rosbags, in their order."""
    with AnyReader([path]) as reader:
        for connection, stamp_ns, data in reader.messages():
            about = (connection.ext, connection.digest, connection.msgdef.data)
            yield Recorded(
                connection.topic, connection.msgtype, stamp_ns, bytes(data), repr(about)
            )


def pixels(kind: str, message: Recorded) -> np.ndarray:
    """Decode the image of a message with OpenCV, as rgb8 or bgr8 as it is recorded."""
    types = get_typestore(Stores.ROS1_NOETIC if kind == 'ros1' else Stores.ROS2_HUMBLE)
    deserialize = types.deserialize_ros1 if kind == 'ros1' else types.deserialize_cdr
    image = deserialize(message.data, message.kind)
    if message.kind == COMPRESSED:
        return cv2.imdecode(image.data, cv2.IMREAD_COLOR)
    return image.data.reshape(image.height, image.width, 3)


def images_of(messages: Sequence[Recorded], topic: str) -> list[Recorded]:
    return [message for message in messages if message.topic == topic]
