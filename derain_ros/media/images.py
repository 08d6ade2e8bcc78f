"""Image files."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
import stat

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from derain_ros.errors import DataError, DerainError

IMAGE_SUFFIXES = {'.png', '.jpg', '.jpeg', '.webp', '.bmp'}
VIDEO_SUFFIXES = {'.mp4', '.avi', '.mkv', '.mov'}
# A phone's picture has up to 200 million pixels; what claims more than this is damaged.
LARGEST_PX = 400_000_000
# Pillow refuses less than a phone's picture; the limit here is checked before anything is decoded.
Image.MAX_IMAGE_PIXELS = LARGEST_PX
# by what they hold; Pillow has readers that start other programs
FORMATS = ('PNG', 'JPEG', 'WEBP', 'BMP', 'GIF', 'PPM', 'TIFF')
SIXTEEN_BITS = {'I;16', 'I;16L', 'I;16B', 'I;16N'}
# their range is known to who wrote the file alone
UNKNOWN_RANGE = {'I': '32-bit integer', 'F': '32-bit floating-point'}
ORIENTATION = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_image(path: Path) -> NDArray[np.uint8]:
    """
    Read an image file as uint8 RGB [H, W, 3], turned upright as its EXIF says.

    Greyscale of 16 bits is scaled, as 65535 to 255.

    :raises DataError: as ``opened_image``.
    """
    with opened_image(path) as image:
        turn = UPRIGHT.get(orientation(image))
        upright = image if turn is None else image.transpose(turn)
        if image.mode in SIXTEEN_BITS:
            grey = (np.asarray(upright) // 257).astype(np.uint8)
            return np.repeat(grey[..., np.newaxis], 3, axis=2)
        return np.array(upright.convert('RGB'))


@contextmanager
def opened_image(path: Path) -> Iterator[Image.Image]:
    """
    Lend a decoded image file as it is stored.

    :raises DataError: the file is no image, is damaged or ends before the image does, claims
        more than ``LARGEST_PX`` pixels, or has samples of unknown range.
    """
    check_regular(path)
    try:
        # Pillow, because OpenCV fills up a truncated JPEG with grey and says nothing
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > LARGEST_PX:
                raise DataError(
                    f'{path}: claims {image.width} x {image.height} pixels, more than the '
                    f'{LARGEST_PX // 10**6} million that are read; scale it down'
                )
            if image.mode in UNKNOWN_RANGE:
                raise DataError(
                    f'{path}: has {UNKNOWN_RANGE[image.mode]} samples, whose range is unknown; '
                    'convert it to 8 or 16 bits per sample'
                )
            image.load()
            yield image
    except DerainError:
        raise
    except Exception as error:  # each decoder has exceptions of its own
        raise DataError(
            f'{path}: not a readable image ({str(error) or type(error).__name__}); remove it or '
            'fetch it again'
        ) from error


def orientation(image: Image.Image) -> int:
    """Return the EXIF orientation of a loaded image, 1 to 8; EXIF that cannot be read says 1."""
    with suppress(Exception):  # it is parsed by hand, and damage shows in many ways
        found: int = image.getexif().get(ORIENTATION, 1)
        return found
    return 1


def image_files(path: Path) -> list[Path]:
    """
    List the image files of a folder, by name; a single image is a list of one.

    :raises DataError: the folder is missing, or no image, or holds none.
    """
    suffix = path.suffix.lower()
    if path.exists() and not path.is_dir():
        check_regular(path)
    if path.is_file() and suffix in IMAGE_SUFFIXES:
        return [path]
    if suffix in VIDEO_SUFFIXES and path.is_file():
        raise DataError(
            f'{path}: is a video, where a folder of images is needed; evaluate.py '
            'takes it with --truth none, and write_bag.py makes a bag of it'
        )
    if path.is_file():
        raise DataError(
            f'{path}: neither a folder nor an image nor a video '
            f'({", ".join(sorted(IMAGE_SUFFIXES | VIDEO_SUFFIXES))}); convert it to PNG or MP4'
        )
    if not path.is_dir():
        raise DataError(
            f'{path}: no such folder; check the path, which in an experiment is relative to --data'
        )
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        raise DataError(f'{path}: holds no image ({", ".join(sorted(IMAGE_SUFFIXES))})')
    return files


def check_regular(path: Path) -> None:
    """
    Check that a path is a file, without opening it: that of a pipe or a device may never end.

    :raises DataError: it is not there, or is something else.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise DataError(f'{path}: cannot be read ({error.strerror})') from error
    if not stat.S_ISREG(mode):
        kind = 'a folder' if stat.S_ISDIR(mode) else 'a pipe, socket or device'
        raise DataError(f'{path}: is {kind}, where a file is needed; copy it to one')
