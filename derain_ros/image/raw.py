"""
sensor_msgs/Image to NumPy and back, for every encoding a colour camera publishes.

``read`` returns what the network takes, uint8 [H, W, 3]; ``prepare`` lays out the message that
will carry the result, and ``finish`` completes it::

    frame = read(message)
    target = prepare(output, frame)      # output: one message, used again and again
    engine(frame.pixels, target)         # writes uint8 [H, W, 3] in the order of frame.pixels
    finish(output, frame, target)

For bgr8 and rgb8 both ends are views of the messages' own data, and nothing is copied or
allocated. The header is the caller's. Nothing here needs ROS: a message is any object with the
fields of sensor_msgs/Image.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Any, TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from derain_ros.errors import ImageError, quoted
from derain_ros.image.encodings import ALIASES, Layout, LAYOUTS, output_encoding, RESULT_CODES
from derain_ros.order import Order

if TYPE_CHECKING:
    from sensor_msgs.msg import Image

Pixels = NDArray[np.uint8]


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
    order: Order
    alpha: Pixels | None
    encoding: str


def is_consistent(message: Image) -> bool:
    """Return whether a message, of whatever encoding, is a whole image that may be passed on."""
    size = len(message.data)
    if not (message.width and message.height and size):
        return False
    layout = LAYOUTS.get(ALIASES.get(message.encoding, message.encoding))
    if layout is None:
        # Planes of colour may follow, but rows of luma are there, of a byte per pixel at least.
        return bool(message.step >= message.width and size >= message.step * message.height)
    row, rows = layout.row(message.width), layout.rows(message.height)
    return bool(message.step >= row and size == message.step * rows)


def read(message: Image) -> Frame:
    """
    Return the pixels of a message; 16-bit samples are scaled to 8 bits, as 65535 to 255.

    :param message: sensor_msgs/Image, its rows padded or not.
    :raises ImageError: if its encoding is unknown, or its fields contradict each other.
    """
    encoding = ALIASES.get(message.encoding, message.encoding)
    layout = LAYOUTS.get(encoding)
    if layout is None:
        raise ImageError(
            f'encoding {quoted(message.encoding)} is not one that can be de-rained: publish one '
            f'of {", ".join([*LAYOUTS, *ALIASES])}'
        )
    _check(message, layout)
    samples = _samples(message, layout)
    pixels, alpha = samples, None
    if layout.code is not None:
        pixels = np.asarray(cv2.cvtColor(samples, layout.code), np.uint8)
    if layout.channels == 4:
        alpha = np.asarray(cv2.extractChannel(samples, 3), np.uint8)
    return Frame(pixels=pixels, order=layout.order, alpha=alpha, encoding=encoding)


def prepare(message: Image, frame: Frame) -> Pixels:
    """
    Lay out a message for the result of a frame; return the array to write the result to.

    :param message: sensor_msgs/Image, new or used before for a frame of any size; all its fields
        but the header are set. It keeps its data where the size allows.
    :param frame: the frame whose result it will carry.
    :returns: writable uint8 [H, W, 3], in the order of the frame; for bgr8 and rgb8 the message's
        own data, for the others an array of its own.
    """
    encoding = output_encoding(frame.encoding)
    height, width, _ = frame.pixels.shape
    message.height, message.width = height, width
    message.encoding, message.is_bigendian = encoding, 0
    message.step = width * LAYOUTS[encoding].channels
    size = height * message.step
    if len(message.data) != size:
        # Only an array.array is assigned without a look at every element; and a new one, because
        # one that NumPy arrays still view cannot be resized.
        message.data = array('B', bytes(size))
    if RESULT_CODES[encoding] is None:
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
            'built for, and its padding cut off'
        )
    written = _written(message)
    code = RESULT_CODES[message.encoding]
    if code is not None:
        cv2.cvtColor(pixels, code, dst=written)
    elif pixels.__array_interface__ != written.__array_interface__:
        np.copyto(written, pixels)
    if frame.alpha is not None:
        cv2.insertChannel(frame.alpha, written, 3)


class ResultWriter:
    """Writes the results of a stream into one message, used again and again."""

    def __init__(self, output: Image) -> None:
        """
        Take the message.

        :param output: a new sensor_msgs/Image.
        """
        self._output = output

    def prepare(self, frame: Frame) -> Pixels:
        """Return the array that receives the result; see ``prepare``."""
        return prepare(self._output, frame)

    def finish(self, message: Any, frame: Frame, pixels: Pixels) -> Image:
        """Return the message with the result, and the header of the one that it is of."""
        finish(self._output, frame, pixels)
        self._output.header = message.header
        return self._output


class RawCodec(ResultWriter):
    """The codec of a stream of raw images; see ``stream.codec.Codec``."""

    is_consistent = staticmethod(is_consistent)
    read = staticmethod(read)

    def kind(self, message: Image) -> tuple[int, int, str]:
        return message.height, message.width, message.encoding


def _check(message: Image, layout: Layout) -> None:
    """Raise an ImageError unless size, step and data of a message agree with each other."""
    image = f'{message.encoding} image of {message.width} x {message.height} pixels'
    size = len(message.data)
    if not (message.width and message.height and size):
        raise ImageError(
            f'{image} with {size} bytes of data is empty: look for errors in the log of the '
            'camera driver'
        )
    for side in layout.even:
        if getattr(message, side) % 2:
            raise ImageError(
                f'{image} has an odd {side}, but {message.encoding} shares its colour between '
                f'two pixels: set the camera to an even {side}, or publish bgr8'
            )
    if min(message.width, message.height) < layout.least:
        raise ImageError(
            f'{image} is too small to interpolate its colours: publish at least '
            f'{layout.least} x {layout.least} pixels, or bgr8'
        )
    row = layout.row(message.width)
    if message.step < row:
        raise ImageError(
            f'{image} has a step of {message.step} bytes, but its rows need {row}: let the '
            'publisher set step to the bytes of a whole row, padding included'
        )
    rows = layout.rows(message.height)
    if message.step * rows != size:
        raise ImageError(
            f'{image} has {size} bytes of data, but {rows} rows with a step of {message.step} '
            f'take {message.step * rows}: correct height and step in the publisher, or look for '
            'what cuts or pads the data on its way'
        )


def _samples(message: Image, layout: Layout) -> Pixels:
    """View a checked message as uint8 [rows, W, channels] or [rows, W]; only 16 bits copy."""
    size = layout.depth // 8
    samples = np.ndarray(
        (layout.rows(message.height), message.width, layout.channels),
        dtype=f'{">" if message.is_bigendian else "<"}u{size}',
        buffer=message.data,
        strides=(message.step, layout.channels * size, size),
    )
    if layout.depth == 16:
        samples = (samples // 257).astype(np.uint8)
    return samples[..., 0] if layout.channels == 1 else samples


def _written(message: Image) -> Pixels:
    """View the data of a prepared message as uint8 [H, W, channels], [H, W] if mono8."""
    pixels = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, -1)
    return pixels[..., 0] if message.encoding == 'mono8' else pixels
