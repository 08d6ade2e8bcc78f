#!/usr/bin/env python3
"""
Write a bag of compressed images from a folder of images or a video, to try training on bags.

    python3 training/write_bag.py photographs/ rain
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
import shutil
import sys

if not __package__:  # run as a file: lets this repository be imported
    import _root  # noqa: F401

import cv2
import numpy as np
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Ros2Writer
from rosbags.typesys import get_typestore, Stores
from rosbags.typesys.store import Typestore

from derain_ros.errors import DataError
from derain_ros.media.images import image_files, read_image, VIDEO_SUFFIXES
from derain_ros.media.videos import video_frames
from training.commands import command

KIND = 'sensor_msgs/msg/CompressedImage'


def jpegs(source: Path) -> Iterator[np.ndarray]:
    """
    Read the images of a folder, or the frames of a video, as JPEG files, uint8 [bytes].

    :raises DataError: there is nothing to read, or it is broken.
    """
    if source.suffix.lower() in VIDEO_SUFFIXES:
        for frame in video_frames(source):
            yield _jpeg(frame)
        return
    for path in image_files(source):
        if path.suffix.lower() in {'.jpg', '.jpeg'}:
            yield np.fromfile(path, np.uint8)
        else:
            yield _jpeg(read_image(path))


def _jpeg(image: np.ndarray) -> np.ndarray:
    return cv2.imencode('.jpg', image[..., ::-1])[1].ravel()


def write_bag(source: Path, bag: Path, *, topic: str, rate: float, storage: str) -> int:
    """
    Write a bag: for ROS 1 if its name ends in ``.bag``, else a rosbag2 folder.

    :param rate: images per second of recording.
    :param storage: of rosbag2, ``mcap`` or ``sqlite3``.
    :returns: the number of images.
    :raises DataError: the bag exists already, there is nothing to write, or no rate.
    """
    if not rate > 0:
        raise DataError(f'--rate {rate:g}: must be above 0')
    if bag.exists():
        raise DataError(f'{bag}: exists already; remove it or name another')
    ros1 = bag.suffix == '.bag'
    types = get_typestore(Stores.ROS1_NOETIC if ros1 else Stores.ROS2_HUMBLE)
    plugin = StoragePlugin[storage.upper()]
    serialize = types.serialize_ros1 if ros1 else types.serialize_cdr
    count = 0
    try:
        with (
            Ros1Writer(bag) if ros1 else Ros2Writer(bag, version=9, storage_plugin=plugin)
        ) as writer:
            connection = writer.add_connection(topic, KIND, typestore=types)
            for count, data in enumerate(jpegs(source), start=1):
                stamp_ns = round((count - 1) / rate * 1e9)
                message = _message(types, data, stamp_ns, ros1)
                writer.write(connection, stamp_ns, serialize(message, KIND))
    except BaseException:
        # half a bag would be in the way of the next try
        if bag.is_dir():
            shutil.rmtree(bag, ignore_errors=True)
        else:
            bag.unlink(missing_ok=True)
        raise
    return count


def _message(types: Typestore, data: np.ndarray, stamp_ns: int, ros1: bool) -> object:
    time = types.types['builtin_interfaces/msg/Time'](stamp_ns // 10**9, stamp_ns % 10**9)
    sequence = {'seq': 0} if ros1 else {}
    header = types.types['std_msgs/msg/Header'](**sequence, stamp=time, frame_id='camera')
    return types.types[KIND](header=header, format='jpeg', data=data)


@command
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('source', type=Path, help='folder of images, or video')
    parser.add_argument('bag', type=Path, help='to write: NAME.bag for ROS 1, NAME for ROS 2')
    parser.add_argument('--topic', default='/camera/image_raw/compressed')
    parser.add_argument('--rate', type=float, default=10.0, help='images per second (10)')
    parser.add_argument(
        '--storage', choices=('mcap', 'sqlite3'), default='mcap', help='of a ROS 2 bag (mcap)'
    )
    arguments = parser.parse_args()
    count = write_bag(
        arguments.source,
        arguments.bag,
        topic=arguments.topic,
        rate=arguments.rate,
        storage=arguments.storage,
    )
    print(f'{arguments.bag}: {count} images on {arguments.topic}')


if __name__ == '__main__':
    sys.exit(main())
