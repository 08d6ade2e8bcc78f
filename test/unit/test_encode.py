"""Raw images to compressed ones, against what reads them."""

from array import array

import cv2
from helpers.streams import Message
import numpy as np
import pytest

from derain_ros.errors import ImageError
from derain_ros.image import compressed
from derain_ros.image.encode import compress, Compression


class Compressed:
    """The fields of sensor_msgs/CompressedImage."""

    header, format, data = None, '', array('B')


def message(encoding: str, channels: int, picture: np.ndarray) -> Message:
    height, width, _ = picture.shape
    pixels = np.dstack([picture, picture[..., :1]])[..., :channels]
    return Message(height, width, encoding, width * channels, data=pixels.tobytes())


@pytest.mark.parametrize(
    'encoding, channels, stored',
    [('bgr8', 3, 'bgr8'), ('rgb8', 3, 'bgr8'), ('mono8', 1, 'mono8'), ('bgra8', 4, 'bgra8')],
)
def test_png_keeps_every_sample(street, encoding, channels, stored):
    sent = message(encoding, channels, street)
    output = Compressed()
    compress(sent, output, Compression(format='png'))
    assert output.format == f'{encoding}; png compressed {stored}'
    assert output.header is sent.header
    frame = compressed.read(output)
    expected = street[..., ::-1] if encoding == 'rgb8' else street
    if encoding == 'mono8':
        expected = np.repeat(street[..., :1], 3, axis=2)
    assert np.array_equal(frame.pixels, expected)
    assert (frame.alpha is not None) == (encoding == 'bgra8')


def test_jpeg_is_smaller_with_less_quality(street):
    sizes = []
    for quality in (95, 50, 5):
        output = Compressed()
        compress(message('bgr8', 3, street), output, Compression(jpeg_quality=quality))
        assert output.format == 'bgr8; jpeg compressed bgr8'
        sizes.append(len(output.data))
    assert sizes == sorted(sizes, reverse=True)
    assert cv2.imdecode(np.frombuffer(output.data, np.uint8), 1).shape == street.shape


def test_what_is_too_wide_for_jpeg_is_named():
    wide = Message(1, 70000, 'mono8', 70000, data=bytes(70000))
    with pytest.raises(ImageError, match='70000 x 1 pixels is too large for JPEG'):
        compress(wide, Compressed(), Compression())
