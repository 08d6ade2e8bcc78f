"""Rainy/clean image pairs from folders, held in memory as uint8 RGB."""
from dataclasses import dataclass
from pathlib import Path
import re

import cv2
import numpy as np

IMAGE_SUFFIXES = {'.png', '.jpg', '.jpeg', '.webp', '.bmp'}


class DataError(ValueError):
    """Training data that cannot be used; the message names the file and the way out."""


@dataclass(frozen=True)
class Pair:
    """A rainy and a clean image of one scene, both uint8 RGB [H, W, 3] of equal size."""

    name: str
    rainy: np.ndarray
    clean: np.ndarray


def read_image(path: Path) -> np.ndarray:
    """
    Read an image file as uint8 RGB [H, W, 3].

    :raises DataError: the file cannot be decoded.
    """
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise DataError(f'{path}: not a readable image; remove it or fetch it again')
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def image_files(folder: Path) -> list[Path]:
    """
    List the image files of a folder, by name.

    :raises DataError: the folder is missing or holds no image.
    """
    if not folder.is_dir():
        raise DataError(f'{folder}: no such folder; name the root of the data with --data')
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        raise DataError(f'{folder}: holds no image ({", ".join(sorted(IMAGE_SUFFIXES))})')
    return files


def number(path: Path) -> int:
    """
    Give the number that ends a file's stem: ``rain-007.png`` to 7.

    :raises DataError: the stem does not end in a number.
    """
    match = re.search(r'(\d+)$', path.stem)
    if match is None:
        raise DataError(f'{path}: its name does not end in a number, so its partner is unknown')
    return int(match.group(1))


def read_pairs(folder: Path) -> dict[int, Pair]:
    """
    Read ``folder/rainy`` and ``folder/clean``, matched by the number in the file names.

    :raises DataError: a partner is missing, unreadable or of another size.
    """
    rainy_files = {number(path): path for path in image_files(folder / 'rainy')}
    clean_files = {number(path): path for path in image_files(folder / 'clean')}
    lonely = sorted(rainy_files.keys() ^ clean_files.keys())
    if lonely:
        path = (rainy_files | clean_files)[lonely[0]]
        raise DataError(f'{path}: has no partner ({len(lonely)} such in {folder}); '
                        'add the partner or remove the file')
    pairs = {}
    for key, path in rainy_files.items():
        rainy, clean = read_image(path), read_image(clean_files[key])
        if rainy.shape != clean.shape:
            raise DataError(f'{path}: {rainy.shape[1]}x{rainy.shape[0]}, but its clean partner '
                            f'is {clean.shape[1]}x{clean.shape[0]}; sizes must be equal')
        pairs[key] = Pair(f'{folder.name}/{path.stem}', rainy, clean)
    return pairs
