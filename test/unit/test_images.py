"""sensor_msgs/Image to NumPy, against rosbags-image and values worked out by hand."""

import os
from pathlib import Path
import subprocess
import sys

from helpers.image_messages import (
    BYTES_PER_PIXEL,
    CHROMA_BELOW,
    KEPT_ENCODINGS,
    message,
    noise,
    unpadded,
)
import numpy as np
import pytest
from rosbags.image import message_to_cvimage
from rosbags.typesys import get_typestore, Stores
from sensor_msgs.msg import Image

import derain_ros
from derain_ros.image.raw import Frame, read

PATTERNS = ['rggb', 'bggr', 'gbrg', 'grbg']


def colour(encoding: str, pixels: np.ndarray) -> Image:
    """Return the message of an image uint8 [H, W, channels]."""
    return message(encoding, pixels.reshape(len(pixels), -1), pixels.shape[1])


def as_bgr(frame: Frame) -> np.ndarray:
    return frame.pixels[..., ::-1] if frame.order == 'rgb' else frame.pixels


def reference(image: Image) -> np.ndarray:
    """Convert an unpadded message to BGR with rosbags-image."""
    types = get_typestore(Stores.ROS2_KILTED).types
    height = image.height
    if image.encoding in CHROMA_BELOW:
        height = height * 3 // 2  # rosbags-image counts the rows of colour in the height
    # It does not know the channels of a plain type.
    encoding = {'8UC1': 'mono8', '8UC3': 'bgr8', '8UC4': 'bgra8'}.get(
        image.encoding, image.encoding
    )
    return message_to_cvimage(
        types['sensor_msgs/msg/Image'](
            header=None,
            height=height,
            width=image.width,
            encoding=encoding,
            is_bigendian=image.is_bigendian,
            step=image.step,
            data=np.frombuffer(image.data, np.uint8),
        ),
        'bgr8',
    )


# The values


@pytest.mark.parametrize('encoding', BYTES_PER_PIXEL)
@pytest.mark.parametrize('big', [0, 1])
def test_reads_what_rosbags_image_reads(encoding, big):
    image = noise(encoding, 24, 32, is_bigendian=big)
    frame = read(image)
    assert frame.pixels.dtype == np.uint8
    np.testing.assert_array_equal(as_bgr(frame), reference(image))


@pytest.mark.parametrize('encoding', BYTES_PER_PIXEL)
@pytest.mark.parametrize('padding', [1, 2, 16])
def test_skips_the_padding_of_rows(encoding, padding):
    image = noise(encoding, 6, 10, padding)
    np.testing.assert_array_equal(read(image).pixels, read(unpadded(image)).pixels)


@pytest.mark.parametrize(
    'encoding, sizes',
    [
        *[
            (name, [(1, 1), (1, 7), (7, 1), (5, 7)])
            for name in [*KEPT_ENCODINGS, 'mono16', 'bgr16', 'rgb16', '8UC1', '8UC3', '8UC4']
        ],
        *[(f'bayer_{pattern}8', [(3, 3), (5, 7), (4, 3)]) for pattern in PATTERNS],
        *[(name, [(1, 2), (3, 2), (1, 6)]) for name in ['yuv422', 'uyvy', 'yuv422_yuy2', 'yuyv']],
        *[(name, [(2, 2), (2, 6), (6, 2)]) for name in CHROMA_BELOW],
    ],
)
def test_reads_odd_and_tiny_sizes(encoding, sizes):
    for height, width in sizes:
        image = noise(encoding, height, width)
        frame = read(image)
        assert frame.pixels.shape == (height, width, 3)
        np.testing.assert_array_equal(as_bgr(frame), reference(image))


@pytest.mark.parametrize(
    'encoding, pixel',
    [
        ('bgr8', [10, 20, 30]),
        ('8UC3', [10, 20, 30]),
        ('rgb8', [30, 20, 10]),
        ('bgra8', [10, 20, 30, 99]),
        ('8UC4', [10, 20, 30, 99]),
        ('rgba8', [30, 20, 10, 99]),
    ],
)
def test_knows_the_order_of_colours(encoding, pixel):
    frame = read(colour(encoding, np.full((2, 2, len(pixel)), pixel)))
    assert as_bgr(frame)[1, 0].tolist() == [10, 20, 30]
    assert frame.order == encoding[:3].replace('8UC', 'bgr')
    assert frame.alpha is None or frame.alpha.tolist() == [[99, 99], [99, 99]]


@pytest.mark.parametrize('pattern', PATTERNS)
def test_demosaics_a_plain_colour(pattern):
    # The pattern gives the first two pixels of the first row, then those of the second.
    b, g, r = 40, 120, 200
    block = np.array([{'r': r, 'g': g, 'b': b}[c] for c in pattern]).reshape(2, 2)
    frame = read(message(f'bayer_{pattern}8', np.tile(block, (4, 4)), 8))
    assert (frame.pixels == [b, g, r]).all()


@pytest.mark.parametrize(
    'encoding, pair',
    [('yuv422', 'uyvy'), ('uyvy', 'uyvy'), ('yuv422_yuy2', 'yuyv'), ('yuyv', 'yuyv')],
)
def test_converts_yuv422(encoding, pair):
    # BT.601 video range: y 81, u 90, v 240 is pure red; grey has u = v = 128.
    red = [{'y': 81, 'u': 90, 'v': 240}[c] for c in pair]
    grey = [{'y': 126, 'u': 128, 'v': 128}[c] for c in pair]
    pixels = read(message(encoding, np.array([red + grey] * 3), 4)).pixels.astype(int)
    assert abs(pixels[:, :2] - [0, 0, 255]).max() <= 2
    assert abs(pixels[:, 2:] - [128, 128, 128]).max() <= 1


@pytest.mark.parametrize('encoding, chroma', [('nv12', [90, 240]), ('nv21', [240, 90])])
def test_converts_colour_planes_below_the_luma(encoding, chroma):
    rows = np.array([[81] * 4] * 2 + [chroma * 2])
    image = message(encoding, rows, 4)
    assert (image.height, image.step, len(image.data)) == (2, 4, 12)
    pixels = read(image).pixels.astype(int)
    assert pixels.shape == (2, 4, 3)
    assert abs(pixels - [0, 0, 255]).max() <= 2


@pytest.mark.parametrize('encoding', ['bgr8', 'rgba8', 'mono8', 'bayer_rggb8', 'mono16'])
def test_black_and_white_stay_black_and_white(encoding):
    for value in [0, 255]:
        rows = np.full((4, 4 * BYTES_PER_PIXEL[encoding]), value)
        assert (read(message(encoding, rows, 4)).pixels == value).all()


@pytest.mark.parametrize('video, value', [(16, 0), (235, 255)])
def test_black_and_white_video_become_black_and_white(video, value):
    packed, planar = np.full((4, 8), video), np.full((6, 4), video)
    packed[:, ::2] = planar[4:] = 128
    assert (read(message('yuv422', packed, 4)).pixels == value).all()
    assert (read(message('nv12', planar, 4)).pixels == value).all()


@pytest.mark.parametrize('big', [0, 1])
def test_scales_every_16_bit_value_as_rosbags_image_does(big):
    values = np.arange(65536).reshape(256, 256)
    rows = values.astype('>u2' if big else '<u2').view(np.uint8)
    image = message('mono16', rows, 256, is_bigendian=big)
    pixels = read(image).pixels
    np.testing.assert_array_equal(pixels, reference(image))
    assert pixels[0, 0].tolist() == [0] * 3 and pixels[255, 255].tolist() == [255] * 3
    assert pixels[128, 127:129, 0].tolist() == [127, 128]  # 128 is reached at 128 * 257


@pytest.mark.parametrize('big', [0, 1])
def test_16_bit_colours_keep_their_order(big):
    samples = (np.array([[[10, 20, 30]] * 2]) * 257).astype('>u2' if big else '<u2')
    rows = samples.view(np.uint8).reshape(1, -1)
    bgr = read(message('bgr16', rows, 2, is_bigendian=big))
    rgb = read(message('rgb16', rows, 2, is_bigendian=big))
    assert (bgr.order, bgr.pixels[0, 1].tolist()) == ('bgr', [10, 20, 30])
    assert (rgb.order, rgb.pixels[0, 1].tolist()) == ('bgr', [30, 20, 10])


# The memory


@pytest.mark.parametrize('encoding', ['bgr8', 'rgb8', '8UC3'])
@pytest.mark.parametrize('padding', [0, 5])
def test_three_channels_are_read_without_a_copy(encoding, padding):
    image = noise(encoding, 4, 6, padding)
    pixels = read(image).pixels
    assert np.shares_memory(pixels, np.frombuffer(image.data, np.uint8))
    assert pixels.strides == (image.step, 3, 1)


def test_reads_data_held_as_bytes_or_numpy():
    image = noise('bgr8', 4, 6)
    expected = read(image).pixels

    class Other:
        encoding, height, width, step, is_bigendian = 'bgr8', 4, 6, 18, 0

    for data in [image.data.tobytes(), np.array(image.data)]:
        Other.data = data
        np.testing.assert_array_equal(read(Other).pixels, expected)


def test_needs_no_ros():
    code = (
        'import sys; sys.modules.update(rclpy=None, sensor_msgs=None)\n'
        'from types import SimpleNamespace\n'
        'from derain_ros.image.raw import finish, prepare, read\n'
        'image = SimpleNamespace(encoding="mono8", height=1, width=2, step=2, is_bigendian=0,\n'
        '                        data=b"ab")\n'
        'output = SimpleNamespace(data=b"")\n'
        'frame = read(image)\n'
        'prepare(output, frame)\n'
        'finish(output, frame, frame.pixels)\n'
        'print(output.data.tobytes().decode())\n'
    )
    root = str(Path(derain_ros.__file__).parents[1])
    ran = subprocess.run(
        [sys.executable, '-c', code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, 'PYTHONPATH': root},
    )
    assert ran.stdout.strip() == 'ab', ran.stderr
