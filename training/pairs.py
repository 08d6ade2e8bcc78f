"""
Rainy/clean image pairs from folders, in the layouts that the public sets come in.

``rainy/`` + ``clean/`` or ``input/`` + ``target/`` with partners of one name, or ``rain-N`` and
``norain-N``; the same two names in one folder; or, as Rain800 has it, side-by-side images with
the clean one on the left. All images are read, whole, before anything else happens.
"""
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
import re

import cv2
import numpy as np
from PIL import Image, ImageOps

IMAGE_SUFFIXES = {'.png', '.jpg', '.jpeg', '.webp', '.bmp'}
VIDEO_SUFFIXES = {'.mp4', '.avi', '.mkv', '.mov'}
TWO_FOLDERS = (('rainy', 'clean'), ('input', 'target'))


class DataError(ValueError):
    """Data that cannot be used; the message names it, the reason and the way out."""


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


def read_image(path: Path) -> np.ndarray:
    """
    Read an image file as uint8 RGB [H, W, 3], turned upright.

    :raises DataError: the file is no image, or ends before the image does.
    """
    try:
        with Image.open(path) as image:
            # Pillow, because OpenCV fills up a truncated JPEG with grey and says nothing
            return np.array(ImageOps.exif_transpose(image).convert('RGB'))
    except (OSError, SyntaxError, ValueError) as error:  # SyntaxError: a broken PNG
        raise DataError(f'{path}: not a readable image ({error}); '
                        'remove it or fetch it again') from error


def image_files(folder: Path) -> list[Path]:
    """
    List the image files of a folder, by name.

    :raises DataError: the folder is missing, or a file, or holds no image.
    """
    if folder.suffix.lower() in VIDEO_SUFFIXES and folder.is_file():
        raise DataError(f'{folder}: is a video, where a folder of images is needed; evaluate.py '
                        'takes it with --truth none, and write_bag.py makes a bag of it')
    if folder.is_file():
        raise DataError(f'{folder}: neither a folder nor a video '
                        f'({", ".join(sorted(VIDEO_SUFFIXES))}); convert it to MP4')
    if not folder.is_dir():
        raise DataError(f'{folder}: no such folder; check the path, which in an experiment is '
                        'relative to --data')
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        raise DataError(f'{folder}: holds no image ({", ".join(sorted(IMAGE_SUFFIXES))})')
    return files


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
        raise DataError(f'{path}: has no partner ({len(lonely)} such in {folder}); '
                        'add the partner or remove the file')
    pairs = []
    for key, path in rainy_by_key.items():
        rainy, clean = read_image(path), read_image(clean_by_key[key])
        if rainy.shape != clean.shape:
            raise DataError(f'{path}: {rainy.shape[1]}x{rainy.shape[0]}, but its clean partner '
                            f'is {clean.shape[1]}x{clean.shape[0]}; sizes must be equal')
        pairs.append(Pair(f'{folder.name}/{path.stem}', number(path), rainy, clean))
    return pairs


def _by_key(files: list[Path]) -> dict[str, Path]:
    by_key: dict[str, Path] = {}
    for path in files:
        other = by_key.setdefault(re.sub('^(no)?rain', '', path.stem), path)
        if other != path:
            raise DataError(f'{path}: {other.name} has the same name but for the suffix; '
                            'remove one of them')
    return by_key


def _side_by_side(folder: Path, path: Path) -> Pair:
    both = read_image(path)
    if both.shape[1] % 2:
        raise DataError(f'{path}: {both.shape[1]} pixels wide, so it is not a clean and a rainy '
                        f'image side by side; {folder} has none of the other layouts either: '
                        'rainy/ + clean/, input/ + target/, rain-N + norain-N')
    clean, rainy = np.split(both, 2, axis=1)
    return Pair(f'{folder.name}/{path.stem}', number(path), rainy, clean)
