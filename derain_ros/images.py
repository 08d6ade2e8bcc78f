"""
sensor_msgs/Image to NumPy and back, for every encoding a colour camera publishes.

``read`` gives what the network takes, uint8 [H, W, 3]; ``prepare`` lays out the message that
will carry the result, and ``finish`` completes it::

    frame = read(message)
    target = prepare(output, frame)      # output: a message of a pool, used again and again
    engine(frame.pixels, target)         # writes uint8 [H, W, 3] in the order of frame.pixels
    finish(output, frame, target)

For bgr8 and rgb8 both ends are views of the messages' own data, and nothing is copied or
allocated. The header is the caller's. Nothing here needs ROS: a message is any object with the
fields of sensor_msgs/Image.
"""
from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Literal, NamedTuple, TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sensor_msgs.msg import Image

Pixels = NDArray[np.uint8]


class ImageError(ValueError):
    """An image that cannot be converted: what is wrong with it, why, and the way out."""


@dataclass(frozen=True, eq=False)
class Frame:
    """
    The pixels of one message, and what writing the result back needs to know.

    :param pixels: uint8 [H, W, 3]; for bgr8 and rgb8 a view of the message's data, whose rows
        are as far apart as in the message. Read it, never write to it.
    :param order: of the three channels; 'rgb' only if the message is rgb8 or rgba8, since a view
        cannot swap them.
    :param alpha: uint8 [H, W], None if the message has none.
    :param encoding: of the message, by its sensor_msgs name.
    """

    pixels: Pixels
    order: Literal['bgr', 'rgb']
    alpha: Pixels | None
    encoding: str


class _Layout(NamedTuple):
    """
    How an encoding lies in memory.

    :param channels: samples per pixel in a row of the message.
    :param code: OpenCV's conversion to three channels, None if there are three already.
    :param order: of these three.
    :param depth: bits per sample, 8 or 16.
    :param even: the sides that must be even, because two pixels along them share their colour.
    :param least: smallest width and height that can be converted.
    """

    channels: int
    code: int | None = None
    order: Literal['bgr', 'rgb'] = 'bgr'
    depth: int = 8
    even: tuple[str, ...] = ()
    least: int = 1

    def row(self, width: int) -> int:
        """Bytes of a row, without padding."""
        return width * self.channels * self.depth // 8

    def rows(self, height: int) -> int:
        """Rows of the message's data: colour at half the height lies below the luma plane."""
        return height * 3 // 2 if 'height' in self.even else height


# ROS names a Bayer pattern by its first pixels, OpenCV's older codes by those one row and one
# column further in. The newer codes (BayerRGGB2BGR) are missing from the OpenCV of Ubuntu 22.04.
# Below 3 x 3 pixels OpenCV has no neighbours to interpolate from and silently answers black.
_LAYOUTS = {
    'bgr8': _Layout(3),
    'rgb8': _Layout(3, order='rgb'),
    'bgra8': _Layout(4, cv2.COLOR_BGRA2BGR),
    'rgba8': _Layout(4, cv2.COLOR_RGBA2RGB, order='rgb'),
    'mono8': _Layout(1, cv2.COLOR_GRAY2BGR),
    'bayer_rggb8': _Layout(1, cv2.COLOR_BayerBG2BGR, least=3),
    'bayer_bggr8': _Layout(1, cv2.COLOR_BayerRG2BGR, least=3),
    'bayer_gbrg8': _Layout(1, cv2.COLOR_BayerGR2BGR, least=3),
    'bayer_grbg8': _Layout(1, cv2.COLOR_BayerGB2BGR, least=3),
    'yuv422': _Layout(2, cv2.COLOR_YUV2BGR_UYVY, even=('width',)),
    'yuv422_yuy2': _Layout(2, cv2.COLOR_YUV2BGR_YUY2, even=('width',)),
    'nv12': _Layout(1, cv2.COLOR_YUV2BGR_NV12, even=('width', 'height')),
    'nv21': _Layout(1, cv2.COLOR_YUV2BGR_NV21, even=('width', 'height')),
    'mono16': _Layout(1, cv2.COLOR_GRAY2BGR, depth=16),
    'bgr16': _Layout(3, depth=16),
    'rgb16': _Layout(3, cv2.COLOR_RGB2BGR, depth=16),
}

# The names newer releases of sensor_msgs give to yuv422, and OpenCV's own type names, which
# cv_bridge writes where a node did not say what its image is.
_ALIASES = {
    'uyvy': 'yuv422', 'yuyv': 'yuv422_yuy2', '8UC1': 'mono8', '8UC3': 'bgr8', '8UC4': 'bgra8',
}

# From three channels, in either order, to those of the encodings that a result is published in.
_WRITTEN = {
    'bgr8': None,
    'rgb8': None,
    'bgra8': cv2.COLOR_BGR2BGRA,
    'rgba8': cv2.COLOR_RGB2RGBA,
    'mono8': cv2.COLOR_BGR2GRAY,
}


def output_encoding(encoding: str) -> str:
    """
    Name the encoding in which the result of an image is published.

    :param encoding: of the image.
    :return: the same if it is bgr8, rgb8, bgra8, rgba8 or mono8, under that name; else bgr8.
    """
    encoding = _ALIASES.get(encoding, encoding)
    return encoding if encoding in _WRITTEN else 'bgr8'


def is_consistent(message: Image) -> bool:
    """Tell whether a message, of whatever encoding, is a whole image that may be passed on."""
    layout = _LAYOUTS.get(_ALIASES.get(message.encoding, message.encoding))
    if layout is None:  # how many rows its data has is not known
        return message.width > 0 and message.height > 0 and len(message.data) > 0
    row, rows = layout.row(message.width), layout.rows(message.height)
    return row > 0 and message.step >= row and len(message.data) == message.step * rows > 0


def read(message: Image) -> Frame:
    """
    Give the pixels of a message; 16-bit samples are scaled to 8 bits, as 65535 to 255.

    :param message: sensor_msgs/Image, its rows padded or not.
    :raises ImageError: if its encoding is unknown, or its fields contradict each other.
    """
    encoding = _ALIASES.get(message.encoding, message.encoding)
    layout = _LAYOUTS.get(encoding)
    if layout is None:
        raise ImageError(
            f"encoding '{message.encoding}' is not one that can be de-rained: publish one of "
            f'{", ".join([*_LAYOUTS, *_ALIASES])}')
    _check(message, layout)
    samples = _samples(message, layout)
    return Frame(
        pixels=samples if layout.code is None else cv2.cvtColor(samples, layout.code),
        order=layout.order,
        alpha=cv2.extractChannel(samples, 3) if layout.channels == 4 else None,
        encoding=encoding)


def prepare(message: Image, frame: Frame) -> Pixels:
    """
    Lay out a message for the result of a frame, and give the array to write the result to.

    :param message: sensor_msgs/Image, new or used before for a frame of any size; all its fields
        but the header are set. It keeps its data where the size allows.
    :param frame: the frame whose result it will carry.
    :return: writable uint8 [H, W, 3], in the order of the frame; for bgr8 and rgb8 the message's
        own data, for the others an array of its own.
    """
    encoding = output_encoding(frame.encoding)
    height, width, _ = frame.pixels.shape
    message.height, message.width = height, width
    message.encoding, message.is_bigendian = encoding, 0
    message.step = width * _LAYOUTS[encoding].channels
    size = height * message.step
    if len(message.data) != size:
        # Only an array.array is assigned without a look at every element; and a new one, because
        # one that NumPy arrays still view cannot be resized.
        message.data = array('B', bytes(size))
    if _WRITTEN[encoding] is None:
        return _written(message)
    return np.empty((height, width, 3), np.uint8)


def finish(message: Image, frame: Frame, pixels: Pixels) -> None:
    """
    Complete a prepared message with the result.

    Costs nothing if `pixels` is what ``prepare`` gave for bgr8 or rgb8. To pass the image on
    unchanged, give the pixels of the frame.

    :param message: the message, after ``prepare``.
    :param frame: the frame it was prepared for; its alpha is stored unchanged.
    :param pixels: uint8 [H, W, 3], in the order of the frame.
    :raises ImageError: if `pixels` has another shape or type than the frame.
    """
    if pixels.shape != frame.pixels.shape or pixels.dtype != np.uint8:
        raise ImageError(
            f'a result of {pixels.dtype} {list(pixels.shape)} does not fit a frame of uint8 '
            f'{list(frame.pixels.shape)}: the engine must be given frames of the size it is '
            'built for, and its padding cut off')
    written = _written(message)
    code = _WRITTEN[message.encoding]
    if code is not None:
        cv2.cvtColor(pixels, code, dst=written)
    elif pixels.__array_interface__ != written.__array_interface__:
        np.copyto(written, pixels)
    if frame.alpha is not None:
        cv2.insertChannel(frame.alpha, written, 3)


def _check(message: Image, layout: _Layout) -> None:
    """Raise an ImageError unless size, step and data of a message agree with each other."""
    image = f'{message.encoding} image of {message.width} x {message.height} pixels'
    size = len(message.data)
    if not (message.width and message.height and size):
        raise ImageError(
            f'{image} with {size} bytes of data is empty: look for errors in the log of the '
            'camera driver')
    for side in layout.even:
        if getattr(message, side) % 2:
            raise ImageError(
                f'{image} has an odd {side}, but {message.encoding} shares its colour between '
                f'two pixels: set the camera to an even {side}, or publish bgr8')
    if min(message.width, message.height) < layout.least:
        raise ImageError(
            f'{image} is too small to interpolate its colours: publish at least '
            f'{layout.least} x {layout.least} pixels, or bgr8')
    row = layout.row(message.width)
    if message.step < row:
        raise ImageError(
            f'{image} has a step of {message.step} bytes, but its rows need {row}: let the '
            'publisher set step to the bytes of a whole row, padding included')
    rows = layout.rows(message.height)
    if message.step * rows != size:
        raise ImageError(
            f'{image} has {size} bytes of data, but {rows} rows with a step of {message.step} '
            f'take {message.step * rows}: correct height and step in the publisher, or look for '
            'what cuts or pads the data on its way')


def _samples(message: Image, layout: _Layout) -> Pixels:
    """View a checked message as uint8 [rows, W, channels] or [rows, W]; only 16 bits copy."""
    size = layout.depth // 8
    samples = np.ndarray(
        (layout.rows(message.height), message.width, layout.channels),
        dtype=f'{">" if message.is_bigendian else "<"}u{size}', buffer=message.data,
        strides=(message.step, layout.channels * size, size))
    if layout.depth == 16:
        samples = (samples // 257).astype(np.uint8)
    return samples[..., 0] if layout.channels == 1 else samples


def _written(message: Image) -> Pixels:
    """View the data of a prepared message as uint8 [H, W, channels], [H, W] if mono8."""
    pixels = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, -1)
    return pixels[..., 0] if message.encoding == 'mono8' else pixels
