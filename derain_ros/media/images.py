"""Image files."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from derain_ros.errors import DataError

IMAGE_SUFFIXES = {'.png', '.jpg', '.jpeg', '.webp', '.bmp'}
VIDEO_SUFFIXES = {'.mp4', '.avi', '.mkv', '.mov'}


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
        raise DataError(
            f'{path}: not a readable image ({error}); remove it or fetch it again'
        ) from error


def image_files(folder: Path) -> list[Path]:
    """
    List the image files of a folder, by name.

    :raises DataError: the folder is missing, or a file, or holds no image.
    """
    if folder.suffix.lower() in VIDEO_SUFFIXES and folder.is_file():
        raise DataError(
            f'{folder}: is a video, where a folder of images is needed; evaluate.py '
            'takes it with --truth none, and write_bag.py makes a bag of it'
        )
    if folder.is_file():
        raise DataError(
            f'{folder}: neither a folder nor a video '
            f'({", ".join(sorted(VIDEO_SUFFIXES))}); convert it to MP4'
        )
    if not folder.is_dir():
        raise DataError(
            f'{folder}: no such folder; check the path, which in an experiment is '
            'relative to --data'
        )
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        raise DataError(f'{folder}: holds no image ({", ".join(sorted(IMAGE_SUFFIXES))})')
    return files
