"""Recordings of two cameras and ten other topics, as long as one likes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
from mcap.writer import Writer as McapWriter
import numpy as np
from rosbags.highlevel import AnyReader
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import get_typestore, Stores
from rosbags.typesys.store import Typestore

NAMES = {'mcap': 'rain.mcap', 'ros1': 'rain.bag', 'sqlite3': 'rain'}
KINDS = tuple(NAMES)
IMAGE, JPEG, TEXT = (
    'sensor_msgs/msg/Image',
    'sensor_msgs/msg/CompressedImage',
    'std_msgs/msg/String',
)
CAMERAS = {'/front/image_raw': IMAGE, '/rear/image_raw/compressed': JPEG}
OTHERS = {f'/other_{number}': TEXT for number in range(10)}
Send = Callable[[str, int, Any], None]


def write_bag(folder: Path, kind: str, frames: int, size: tuple[int, int]) -> Path:
    """
    Write a bag, and return its path.

    :param kind: of ``KINDS``.
    :param frames: of both cameras together; each has half of them.
    :param size: height and width of the frames.
    """
    types = get_typestore(Stores.ROS1_NOETIC if kind == 'ros1' else Stores.ROS2_HUMBLE)
    header, time, image, jpeg, text = (
        types.types[name]
        for name in ('std_msgs/msg/Header', 'builtin_interfaces/msg/Time', IMAGE, JPEG, TEXT)
    )
    pictures = [picture(index, *size) for index in range(4)]
    coded = [cv2.imencode('.jpg', each)[1].ravel() for each in pictures]
    path = folder / NAMES[kind]
    with _opened(path, kind, types) as send:
        for index in range(frames // 2):
            sequence = {'seq': index} if kind == 'ros1' else {}
            head = header(**sequence, stamp=time(index // 10, index % 10 * 10**8), frame_id='car')
            flat = pictures[index % 4].ravel()
            messages = [
                image(head, *size, 'bgr8', 0, 3 * size[1], flat),
                *(text(f'{index} of {topic}') for topic in OTHERS),
                jpeg(head, 'bgr8; jpeg compressed bgr8', coded[index % 4]),
            ]
            for number, (topic, message) in enumerate(zip(_topics(), messages)):
                send(topic, index * 10**8 + number, message)
    return path


def differences(before: Path, after: Path) -> list[str]:
    """
    Compare two bags message by message; return what differs that should not.

    The order, the topics, types, stamps and connections are compared of all messages, the bytes
    of those that are no images.
    """
    found, frames = [], 0
    with AnyReader([before]) as old, AnyReader([after]) as new:
        for one, other in zip(old.messages(), new.messages(), strict=True):
            (connection, stamp, data), (result, *derained) = one, other
            frames += connection.topic in CAMERAS
            about = connection.topic, connection.msgtype, connection.digest, repr(connection.ext)
            same = about == (result.topic, result.msgtype, result.digest, repr(result.ext))
            if not same or stamp != derained[0]:
                found.append(f'{connection.topic} at {stamp}: moved')
            elif connection.topic not in CAMERAS and data != derained[1]:
                found.append(f'{connection.topic} at {stamp}: changed')
            elif connection.topic in CAMERAS and data == derained[1]:
                found.append(f'{connection.topic} at {stamp}: not de-rained')
    return found or ([] if frames else ['no frame'])


def picture(index: int, height: int, width: int) -> np.ndarray:
    """Return a frame with contrast and some noise, uint8 [H, W, 3]."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    waves = 120 + 70 * np.sin(rows / 50 + columns / 70 + index)
    noise = np.random.default_rng(index).normal(0, 4, (height, width, 3))
    return np.clip(waves[..., None] + noise, 0, 255).astype(np.uint8)


def _topics() -> list[str]:
    """Return the topics in the order of a moment's messages."""
    front, rear = CAMERAS
    return [front, *OTHERS, rear]


@contextmanager
def _opened(path: Path, kind: str, types: Typestore) -> Iterator[Send]:
    """Open a bag for writing."""
    if kind == 'mcap':  # that of rosbags holds all in one chunk
        with path.open('wb') as file:
            yield from _sending_mcap(McapWriter(file), types)
        return
    ros1 = kind == 'ros1'
    serialize = types.serialize_ros1 if ros1 else types.serialize_cdr
    options = {} if ros1 else {'version': 9, 'storage_plugin': StoragePlugin.SQLITE3}
    with (Ros1Writer if ros1 else Writer)(path, **options) as writer:
        connections = {
            topic: writer.add_connection(topic, name, typestore=types)
            for topic, name in {**CAMERAS, **OTHERS}.items()
        }
        yield lambda topic, stamp, message: writer.write(
            connections[topic], stamp, serialize(message, message.__msgtype__)
        )


def _sending_mcap(writer: McapWriter, types: Typestore) -> Iterator[Send]:
    writer.start('ros2')
    numbers = {}
    for topic, name in {**CAMERAS, **OTHERS}.items():
        definition = types.generate_msgdef(name)[0].encode()
        schema = writer.register_schema(name, 'ros2msg', definition)
        numbers[topic] = writer.register_channel(topic, 'cdr', schema)

    def send(topic: str, stamp: int, message: Any) -> None:
        data = bytes(types.serialize_cdr(message, message.__msgtype__))
        writer.add_message(numbers[topic], stamp, data, stamp)

    yield send
    writer.finish()
