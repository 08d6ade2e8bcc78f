"""Frames to sensor_msgs/CompressedImage, as image_transport's compressed publisher writes them."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Literal, TYPE_CHECKING

import cv2

from derain_ros.errors import ImageError
from derain_ros.image.raw import Frame, read

if TYPE_CHECKING:
    from sensor_msgs.msg import CompressedImage, Image

Format = Literal['jpeg', 'png']
# JPEG's own limit
LARGEST_SIDE_PX = 65535


@dataclass
class Compression:
    """
    How images are compressed; names and defaults are those of image_transport.

    :param jpeg_quality: 1 to 100.
    :param png_level: 1 (fast) to 9 (small).
    """

    format: Format = 'jpeg'
    jpeg_quality: int = 95
    png_level: int = 3


def compress(image: Image, output: CompressedImage, compression: Compression) -> None:
    """
    Compress a raw image.

    Colour is stored as bgr8 and grey as mono8. PNG keeps alpha, JPEG has none.

    :param image: sensor_msgs/Image of any encoding that ``raw.read`` knows.
    :param output: sensor_msgs/CompressedImage; all its fields are set.
    :raises ImageError: the image cannot be read, or is too large for the format.
    """
    frame = read(image)
    if compression.format == 'jpeg' and max(frame.pixels.shape) > LARGEST_SIDE_PX:
        raise ImageError(
            f'image of {image.width} x {image.height} pixels is too large for JPEG: set the '
            'format png'
        )
    samples, stored = _samples(frame, keeps_alpha=compression.format == 'png')
    parameters = (
        [cv2.IMWRITE_JPEG_QUALITY, compression.jpeg_quality]
        if compression.format == 'jpeg'
        else [cv2.IMWRITE_PNG_COMPRESSION, compression.png_level]
    )
    ok, data = cv2.imencode(f'.{compression.format}', samples, parameters)
    if not ok:
        raise ImageError(f'image of {image.width} x {image.height} pixels was not compressed')
    output.header = image.header
    output.format = f'{frame.encoding}; {compression.format} compressed {stored}'
    # only an array.array is assigned without a look at every element
    output.data = array('B', data.tobytes())


def _samples(frame: Frame, *, keeps_alpha: bool) -> tuple[cv2.typing.MatLike, str]:
    """Return what is stored, and its encoding."""
    if frame.encoding == 'mono8':
        return cv2.cvtColor(frame.pixels, cv2.COLOR_BGR2GRAY), 'mono8'
    pixels = frame.pixels
    if frame.order == 'rgb':
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)  # type: ignore[assignment]
    if keeps_alpha and frame.alpha is not None:
        return cv2.merge([*cv2.split(pixels), frame.alpha]), 'bgra8'
    return pixels, 'bgr8'
