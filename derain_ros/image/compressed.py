"""
sensor_msgs/CompressedImage to NumPy, as image_transport and camera drivers write it.

The format says what was compressed and how: ``<encoding>; jpeg compressed <stored>`` or
``<encoding>; png compressed <stored>``, where the stored encoding is that of the picture, and
missing where the samples were stored as they were; or only ``jpeg``, ``jpg`` or ``png``. What
the data hold counts more than what the format says of them. EXIF is ignored: a camera message
has no orientation. Nothing here needs ROS: a message is any object with the fields of
sensor_msgs/CompressedImage.
"""

from __future__ import annotations

import re
import struct
from typing import cast, TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from derain_ros.errors import ImageError
from derain_ros.image.encodings import LAYOUTS
from derain_ros.image.raw import Frame, Pixels, ResultWriter
from derain_ros.order import Order

if TYPE_CHECKING:
    from sensor_msgs.msg import CompressedImage

# A header may claim any size in 20 bytes; the largest camera of a car has a third of this.
LARGEST_PX = 100_000_000
FORMAT = re.compile(r'(?P<encoding>\w{0,60}); *(jpe?g|png) compressed *(?P<stored>\w*)')
PNG_BEGIN, PNG_END = b'\x89PNG\r\n\x1a\n', b'IEND'
JPEG_BEGIN, JPEG_END = b'\xff\xd8\xff', b'\xff\xd9'
# start of frame, of every kind: all from C0 to CF but tables (C4, CC) and one that is reserved
JPEG_FRAME, JPEG_SCAN = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}, 0xDA


def read(message: CompressedImage) -> Frame:
    """
    Return the pixels of a message; 16-bit samples are scaled to 8 bits, as 65535 to 255.

    :param message: sensor_msgs/CompressedImage that holds a JPEG or PNG picture.
    :returns: a frame whose encoding is that of the decoded picture: bgr8, bgra8 or mono8, or
        that of the Bayer mosaic that was compressed; rgb8 or rgba8 where the format says so.
    :raises ImageError: the data are no such picture, are cut short, claim more than
        ``LARGEST_PX`` pixels, or hold a Bayer mosaic of unknown pattern.
    """
    data = memoryview(message.data if len(message.data) else b'').cast('B')
    height, width = picture_size(data)
    if height * width > LARGEST_PX:
        raise ImageError(
            f'compressed picture claims {width} x {height} pixels, more than the '
            f'{LARGEST_PX // 10**6} million that are decoded: look for damage on its way'
        )
    try:
        # as it is: without it OpenCV drops alpha and 16 bits, and turns by what EXIF says
        samples = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except (cv2.error, MemoryError) as error:
        raise ImageError(f'compressed picture cannot be decoded ({error})') from error
    if samples is None or samples.size == 0:
        raise ImageError(
            f'compressed picture of format {message.format[:60]!r} cannot be decoded: its data '
            'are damaged; look at the camera driver or the recording'
        )
    if samples.dtype == np.uint16:
        samples = (samples // 257).astype(np.uint8)
    return _frame(message.format, cast(Pixels, samples))


def picture_size(data: memoryview) -> tuple[int, int]:
    """
    Return height and width of a JPEG or PNG picture from its header, without decoding it.

    :raises ImageError: the data are neither, have no size, or end before the picture does.
    """
    if bytes(data[:8]) == PNG_BEGIN and len(data) >= 24:
        width, height = struct.unpack('>II', data[16:24])
        whole = _png_is_whole(data)
    elif bytes(data[:3]) == JPEG_BEGIN:
        height, width, scan = _jpeg_header(data)
        # OpenCV fills up the rest of a cut JPEG in grey; a thumbnail before the scan ends alike
        whole = bytes(data[scan:]).rfind(JPEG_END) > 0
    else:
        raise ImageError(
            f'compressed picture of {len(data)} bytes is neither JPEG nor PNG: '
            'publish one of these'
        )
    if not whole or not height or not width:
        raise ImageError(
            f'compressed picture of {len(data)} bytes is cut short: look at what cuts the data '
            'on its way, or at the recording'
        )
    return height, width


def _png_is_whole(data: memoryview) -> bool:
    """Tell whether all chunks are there; OpenCV takes memory for what a damaged one claims."""
    position = len(PNG_BEGIN)
    while position + 12 <= len(data):
        kind = data[position + 4 : position + 8]
        position += 12 + int.from_bytes(data[position : position + 4], 'big')
        if kind == PNG_END:
            return position <= len(data)
    return False


def _jpeg_header(data: memoryview) -> tuple[int, int, int]:
    """Return height, width and where the compressed samples begin; zeros where data end."""
    height = width = 0
    position = 2
    while position + 9 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == JPEG_SCAN:
            return height, width, position
        if marker in JPEG_FRAME:
            height, width = struct.unpack('>HH', data[position + 5 : position + 9])
        # a marker may be filled up with FF on its left
        length = int.from_bytes(data[position + 2 : position + 4], 'big')
        position += 1 if marker == 0xFF else 2 + max(2, length)
    return 0, 0, len(data)


def _frame(message_format: str, samples: Pixels) -> Frame:
    """Return the frame of decoded samples, uint8 [H, W] or [H, W, channels]."""
    match = FORMAT.match(message_format)
    encoding, stored = (match['encoding'], match['stored']) if match else ('', '')
    if samples.ndim == 2:
        if encoding.startswith('bayer') and not stored.startswith('mono'):
            return _demosaiced(encoding, samples)
        return Frame(_converted(samples, cv2.COLOR_GRAY2BGR), 'bgr', None, 'mono8')
    order: Order = 'rgb' if stored.startswith('rgb') else 'bgr'
    if samples.shape[2] == 4:
        alpha = cast(Pixels, np.ascontiguousarray(samples[..., 3]))
        pixels = _converted(samples, cv2.COLOR_BGRA2BGR)
        return Frame(pixels, order, alpha, f'{order}a8')
    return Frame(samples, order, None, f'{order}8')


def _demosaiced(encoding: str, samples: Pixels) -> Frame:
    """Return the frame of a Bayer mosaic that was compressed as if it were grey."""
    encoding = re.sub('16$', '8', encoding)
    layout = LAYOUTS.get(encoding)
    if layout is None or layout.code is None:
        raise ImageError(
            f"compressed picture is a mosaic of encoding '{encoding}', whose pattern is unknown: "
            'publish bayer_rggb8, bayer_bggr8, bayer_gbrg8, bayer_grbg8 or bgr8'
        )
    if min(samples.shape) < layout.least:
        raise ImageError(
            f'compressed picture of {samples.shape[1]} x {samples.shape[0]} pixels is too small '
            f'to interpolate its colours: publish at least {layout.least} x {layout.least}'
        )
    return Frame(_converted(samples, layout.code), 'bgr', None, encoding)


def _converted(samples: NDArray[np.uint8], code: int) -> Pixels:
    return cast(Pixels, cv2.cvtColor(samples, code))


class CompressedCodec(ResultWriter):
    """
    The codec of a stream of compressed images; see ``stream.codec.Codec``.

    Results are raw: whoever publishes them compressed does so only if somebody listens.
    """

    read = staticmethod(read)

    def kind(self, message: CompressedImage) -> tuple[int, int, str]:
        height, width = _size(message)
        return height, width, message.format

    def is_consistent(self, message: CompressedImage) -> bool:
        return _size(message) != (0, 0)


def _size(message: CompressedImage) -> tuple[int, int]:
    """Return height and width of a message, zeros if it holds no whole picture."""
    try:
        return picture_size(memoryview(message.data if len(message.data) else b'').cast('B'))
    except ImageError:
        return 0, 0
