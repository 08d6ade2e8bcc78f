"""What cannot be read as an image is refused, with the reason and the way out."""

from array import array

import cv2
from helpers.image_messages import BYTES_PER_PIXEL, noise
import numpy as np
import pytest
from sensor_msgs.msg import Image

from derain_ros.image.raw import ImageError, read


def assert_refused(image: Image, *words: str) -> None:
    """Expect an error that says all the words."""
    with pytest.raises(ImageError) as error:
        read(image)
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize('encoding', ['', '32FC1', '16UC1', 'BGR8', 'jpeg', 'nv24'])
def test_refuses_an_unknown_encoding_and_lists_the_known(encoding):
    image = noise('bgr8', 2, 2)
    image.encoding = encoding
    assert_refused(image, f"'{encoding}'", 'publish one of', *BYTES_PER_PIXEL)


@pytest.mark.parametrize('fields', [{'width': 0}, {'height': 0}, {'width': 0, 'height': 0}])
def test_refuses_an_empty_image(fields):
    assert_refused(noise('bgr8', 2, 2, **fields), 'bgr8', 'empty', 'camera driver')
    assert_refused(Image(encoding='mono8'), 'mono8 image of 0 x 0', 'empty')


def test_refuses_an_image_without_data():
    assert_refused(
        Image(encoding='mono8', height=2, width=2, step=2), '2 x 2', '0 bytes', 'camera driver'
    )


@pytest.mark.parametrize('encoding', BYTES_PER_PIXEL)
@pytest.mark.parametrize('change', [-1, 1])
def test_refuses_data_that_is_too_short_or_too_long(encoding, change):
    image = noise(encoding, 4, 6)
    size = len(image.data)
    image.data = array('B', bytes(size + change))
    assert_refused(
        image,
        encoding,
        f'{size + change} bytes',
        f'take {size}',
        f'step of {image.step}',
        'correct height and step',
    )


def test_refuses_a_huge_image_with_little_data():
    most = 2**32 - 1
    image = noise('mono8', 2, 2, height=most, width=most, step=most)
    assert_refused(image, '4 bytes', str(most * most))


@pytest.mark.parametrize('encoding', BYTES_PER_PIXEL)
def test_refuses_a_step_shorter_than_a_row(encoding):
    row = 6 * BYTES_PER_PIXEL[encoding]
    image = noise(encoding, 4, 6, step=row - 1)
    assert_refused(image, encoding, f'step of {row - 1}', f'need {row}', 'padding included')


@pytest.mark.parametrize(
    'encoding, height, width, side',
    [
        ('yuv422', 2, 3, 'width'),
        ('uyvy', 2, 3, 'width'),
        ('yuyv', 2, 1, 'width'),
        ('yuv422_yuy2', 2, 3, 'width'),
        ('nv12', 3, 2, 'height'),
        ('nv21', 2, 3, 'width'),
        ('nv21', 3, 2, 'height'),
    ],
)
def test_refuses_half_a_colour(encoding, height, width, side):
    image = noise(encoding, height, width, height=height)
    assert_refused(image, encoding, f'odd {side}', f'even {side}', 'publish bgr8')


@pytest.mark.parametrize('size', [(1, 1), (2, 2), (2, 8), (8, 2)])
def test_refuses_a_mosaic_without_neighbours(size):
    assert (cv2.cvtColor(np.full(size, 200, np.uint8), cv2.COLOR_BayerBG2BGR) == 0).all()
    assert_refused(noise('bayer_rggb8', *size), 'bayer_rggb8', 'too small', '3 x 3')
