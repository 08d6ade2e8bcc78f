"""Frames to be judged, evenly spread over a folder of images or a video."""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from derain_ros.media.images import image_files, read_image, VIDEO_SUFFIXES
from derain_ros.media.videos import video_facts, video_frames
from training.data.scenes import spread


@dataclass(frozen=True)
class Footage:
    """
    Frames of one place.

    :param name: of the folder or file.
    :param images: uint8 RGB [H, W, 3] each.
    :param files: their names, by which labels know them.
    """

    name: str
    images: list[np.ndarray]
    files: list[str]


def read_footage(path: Path, most: int) -> Footage:
    """
    Read at most so many frames, spread evenly.

    :raises DataError: there is no image or video, or it cannot be read.
    """
    if path.suffix.lower() not in VIDEO_SUFFIXES:
        files = image_files(path)
        chosen = [files[index] for index in spread(len(files), most)]
        return Footage(path.name, [read_image(file) for file in chosen], [f.name for f in chosen])
    every = max(1, video_facts(path).frames // most)
    images = list(islice(video_frames(path), 0, every * most, every))
    names = [f'frame {every * index} of {path.name}' for index in range(len(images))]
    return Footage(path.stem, images, names)
