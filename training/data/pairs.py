"""
Rainy/clean image pairs from folders.

All images are read, whole, before anything else happens.
"""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from derain_ros.errors import DataError
from derain_ros.media.images import image_files, read_image
from training.data.layouts import LAYOUTS, number, partners

# rain brightens; in grey levels, so that the rounding of rain-free pairs is none
DARKER = -0.1
# numbers of the pairs that no released model was trained on
VALIDATION = range(181, 201)


@dataclass(frozen=True)
class Pair:
    """
    A rainy and a clean image of one scene, both uint8 RGB [H, W, 3] of equal size.

    :param number: of the scene, ends the name of the clean file, and tells validation from
        training; None where the name does not end in one.
    """

    name: str
    number: int | None
    rainy: np.ndarray
    clean: np.ndarray


def read_pairs(folder: Path, swapped: bool | None = None) -> list[Pair]:
    """
    Read the pairs of a folder of any of the layouts, in the order of their names.

    :param swapped: True: the images in the place of the rainy ones are the clean ones; False:
        they are not, even where they are darker; None: darker ones are refused.
    :raises DataError: the folder holds no pairs; a partner is missing, unreadable or of another
        size; a side-by-side image has no middle; rainy and clean images seem to be swapped.
    """
    files = partners(folder)
    if files is None:
        paths = list(image_files(folder))
        pairs = [_side_by_side(folder, *item) for item in zip(paths, read_images(paths))]
    else:
        # once, because several rainy images may be of one scene
        cleans = sorted({clean for _, clean in files})
        clean_images = dict(zip(cleans, read_images(cleans)))
        rainy_images = read_images([rainy for rainy, _ in files])
        pairs = [
            _pair(folder, rainy, image, clean, clean_images[clean])
            for (rainy, clean), image in zip(files, rainy_images)
        ]
    if swapped is None:
        _check_rain_brightens(folder, pairs)
    elif swapped:
        pairs = [replace(pair, rainy=pair.clean, clean=pair.rainy) for pair in pairs]
    return pairs


def read_images(paths: Iterable[Path]) -> list[np.ndarray]:
    """
    Read image files, several at a time, as ``read_image`` does.

    :raises DataError: one cannot be read.
    """
    with ThreadPoolExecutor() as threads:
        return list(threads.map(read_image, paths))


def _check_rain_brightens(folder: Path, pairs: list[Pair]) -> None:
    brighter = [float(pair.rainy.mean() - pair.clean.mean()) for pair in pairs]
    if np.mean(brighter) < DARKER:
        raise DataError(
            f'{folder}: its rainy images are darker than the clean ones, by '
            f'{-np.mean(brighter):.1f} grey levels on average, and rain brightens; if they are '
            f'swapped (side by side the clean image is on the left), write {folder.name}: '
            '{share: ..., swapped: true} under pairs, or --swapped for evaluate.py; if they are '
            'not, swapped: false, or --no-swapped'
        )


def _pair(
    folder: Path, rainy_path: Path, rainy: np.ndarray, clean_path: Path, clean: np.ndarray
) -> Pair:
    if rainy.shape != clean.shape:
        raise DataError(
            f'{rainy_path}: {rainy.shape[1]}x{rainy.shape[0]}, but its clean partner '
            f'is {clean.shape[1]}x{clean.shape[0]}; sizes must be equal'
        )
    return Pair(f'{folder.name}/{rainy_path.stem}', number(clean_path), rainy, clean)


def _side_by_side(folder: Path, path: Path, both: np.ndarray) -> Pair:
    if both.shape[1] % 2:
        raise DataError(
            f'{path}: {both.shape[1]} pixels wide, so it is not a clean and a rainy image side '
            f'by side, and {folder} has none of the other layouts either; {LAYOUTS}'
        )
    clean, rainy = np.split(both, 2, axis=1)
    return Pair(f'{folder.name}/{path.stem}', number(path), rainy, clean)
