"""Scenes to be scored: rainy images with the truth, as far as anyone knows it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from derain_ros.errors import DataError
from derain_ros.media.images import image_files, read_image
from derain_ros.media.videos import read_images
from training.data.pairs import number, read_pairs


@dataclass(frozen=True)
class Scene:
    """
    A rainy image and, where anyone knows it, the true one; uint8 RGB [H, W, 3].

    :param number: ends the name of the file, or is the second of the video; None where the name
        does not end in one.
    """

    name: str
    number: int | None
    rainy: np.ndarray
    truth: np.ndarray | None


def read_scenes(data: Path, truth: str, swapped: bool | None = None) -> list[Scene]:
    """
    Read what is to be scored.

    :param truth: ``pairs``: of the pairs in data; ``none``: nobody knows it; ``itself``: the
        images are free of rain; ``median``: of all frames, the camera stands still.
    :param swapped: as ``read_pairs`` has it.
    :raises DataError: the data cannot be read.
    """
    if truth == 'pairs':
        pairs = read_pairs(data, swapped)
        return _named_apart(
            data, [Scene(pair.name, pair.number, pair.rainy, pair.clean) for pair in pairs]
        )
    if data.is_dir():
        paths = image_files(data)
        named = [(path.stem, number(path), read_image(path)) for path in paths]
    else:
        named = [(f'{second:05}', second, frame) for second, frame in enumerate(read_images(data))]
    truths: Iterable[np.ndarray | None] = [None] * len(named)
    if truth == 'itself':
        truths = [image for _, _, image in named]
    elif truth == 'median':
        if len({image.shape for _, _, image in named}) > 1:
            raise DataError(f'{data}: frames of several sizes, so the camera does not stand still')
        median = np.median([image for _, _, image in named], axis=0)
        truths = [np.rint(median).astype(np.uint8)] * len(named)
    return _named_apart(data, [Scene(*item, truth=image) for item, image in zip(named, truths)])


def numbered(scenes: Iterable[Scene], first: int, last: int) -> list[Scene]:
    """Return the scenes numbered from first to last."""
    return [scene for scene in scenes if scene.number in range(first, last + 1)]


def spread(count: int, most: int) -> list[int]:
    """Return the indices of at most so many of count items, spread evenly from the first on."""
    return [index * count // min(count, most) for index in range(min(count, most))]


def _named_apart(data: Path, scenes: list[Scene]) -> list[Scene]:
    for name, count in Counter(scene.name for scene in scenes).items():
        if count > 1:
            raise DataError(
                f'{data}: two images are called {name} but for the suffix, and their '
                'results would be one; rename or remove one of them'
            )
    return scenes
