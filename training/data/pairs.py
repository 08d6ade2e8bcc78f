"""
Rainy/clean image pairs from folders, in the layouts that the public sets come in.

``rainy/`` + ``clean/`` or ``input/`` + ``target/`` with partners of one name, or ``rain-N`` and
``norain-N``; the same two names in one folder; or, as Rain800 has it, side-by-side images with
the clean one on the left. All images are read, whole, before anything else happens.
"""

from dataclasses import dataclass
from pathlib import Path
import re

import numpy as np

from derain_ros.errors import DataError
from derain_ros.media.images import image_files, read_image

TWO_FOLDERS = (('rainy', 'clean'), ('input', 'target'))


@dataclass(frozen=True)
class Pair:
    """
    A rainy and a clean image of one scene, both uint8 RGB [H, W, 3] of equal size.

    :param number: ends the name of the rainy file, and tells validation from training; None
        where the name does not end in one.
    """

    name: str
    number: int | None
    rainy: np.ndarray
    clean: np.ndarray


def number(path: Path) -> int | None:
    """Give the number that ends a file's stem: ``rain-007.png`` to 7; None without one."""
    match = re.search(r'(\d+)$', path.stem)
    return int(match.group(1)) if match else None


def read_pairs(folder: Path) -> list[Pair]:
    """
    Read the pairs of a folder of any of the layouts, in the order of their names.

    :raises DataError: the folder holds no pairs; a partner is missing, unreadable or of another
        size; a side-by-side image has no middle.
    """
    for rainy, clean in TWO_FOLDERS:
        if (folder / rainy).is_dir() or (folder / clean).is_dir():
            return _matched(folder, image_files(folder / rainy), image_files(folder / clean))
    files = image_files(folder)
    clean_files = [path for path in files if path.stem.startswith('norain')]
    rainy_files = [path for path in files if path.stem.startswith('rain')]
    if clean_files or rainy_files:
        return _matched(folder, rainy_files, clean_files)
    return [_side_by_side(folder, path) for path in files]


def _matched(folder: Path, rainy_files: list[Path], clean_files: list[Path]) -> list[Pair]:
    rainy_by_key, clean_by_key = _by_key(rainy_files), _by_key(clean_files)
    lonely = sorted(rainy_by_key.keys() ^ clean_by_key.keys())
    if lonely:
        path = (rainy_by_key | clean_by_key)[lonely[0]]
        raise DataError(
            f'{path}: has no partner ({len(lonely)} such in {folder}); '
            'add the partner or remove the file'
        )
    pairs = []
    for key, path in rainy_by_key.items():
        rainy, clean = read_image(path), read_image(clean_by_key[key])
        if rainy.shape != clean.shape:
            raise DataError(
                f'{path}: {rainy.shape[1]}x{rainy.shape[0]}, but its clean partner '
                f'is {clean.shape[1]}x{clean.shape[0]}; sizes must be equal'
            )
        pairs.append(Pair(f'{folder.name}/{path.stem}', number(path), rainy, clean))
    return pairs


def _by_key(files: list[Path]) -> dict[str, Path]:
    by_key: dict[str, Path] = {}
    for path in files:
        other = by_key.setdefault(re.sub('^(no)?rain', '', path.stem), path)
        if other != path:
            raise DataError(
                f'{path}: {other.name} has the same name but for the suffix; remove one of them'
            )
    return by_key


def _side_by_side(folder: Path, path: Path) -> Pair:
    both = read_image(path)
    if both.shape[1] % 2:
        raise DataError(
            f'{path}: {both.shape[1]} pixels wide, so it is not a clean and a rainy '
            f'image side by side; {folder} has none of the other layouts either: '
            'rainy/ + clean/, input/ + target/, rain-N + norain-N'
        )
    clean, rainy = np.split(both, 2, axis=1)
    return Pair(f'{folder.name}/{path.stem}', number(path), rainy, clean)
