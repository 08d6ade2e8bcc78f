"""Video files."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from derain_ros.errors import DataError
from derain_ros.media.images import image_files, read_image, VIDEO_SUFFIXES


def read_images(path: Path) -> list[np.ndarray]:
    """
    Read a folder of images, or one frame per second of a video file, as uint8 RGB [H, W, 3].

    :raises DataError: it is missing, empty or unreadable.
    """
    if path.suffix.lower() not in VIDEO_SUFFIXES:
        return [read_image(file) for file in image_files(path)]
    # frames of one second are too much alike to be worth their memory
    return list(video_frames(path, seconds=1.0))


def video_frames(path: Path, seconds: float = 0.0) -> Iterator[np.ndarray]:
    """
    Read a video, one frame in so many seconds, or every frame, as uint8 RGB [H, W, 3].

    :raises DataError: there is no frame that can be decoded.
    """
    capture, index = cv2.VideoCapture(str(path)), 0
    every = max(1, round(seconds * capture.get(cv2.CAP_PROP_FPS)))
    try:
        while capture.grab():
            if index % every == 0:
                yield cv2.cvtColor(capture.retrieve()[1], cv2.COLOR_BGR2RGB)
            index += 1
    finally:
        capture.release()
    if index == 0:
        raise DataError(f'{path}: not a video that OpenCV can read; convert it to H.264 in MP4')
