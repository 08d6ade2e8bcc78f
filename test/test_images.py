"""sensor_msgs/Image to NumPy and back, against rosbags-image and values worked out by hand."""
from array import array
import os
from pathlib import Path
import subprocess
import sys

import cv2
import numpy as np
import pytest
from rosbags.image import message_to_cvimage
from rosbags.typesys import get_typestore, Stores
from sensor_msgs.msg import Image

import derain_ros
from derain_ros.images import finish, Frame, ImageError, output_encoding, prepare, read

BYTES_PER_PIXEL = {
    'bgr8': 3, 'rgb8': 3, 'bgra8': 4, 'rgba8': 4, 'mono8': 1,
    'bayer_rggb8': 1, 'bayer_bggr8': 1, 'bayer_gbrg8': 1, 'bayer_grbg8': 1,
    'yuv422': 2, 'uyvy': 2, 'yuv422_yuy2': 2, 'yuyv': 2, 'nv12': 1, 'nv21': 1,
    'mono16': 2, 'bgr16': 6, 'rgb16': 6, '8UC1': 1, '8UC3': 3, '8UC4': 4,
}
KEPT = ['bgr8', 'rgb8', 'bgra8', 'rgba8', 'mono8']
CHROMA_BELOW = ['nv12', 'nv21']
PATTERNS = ['rggb', 'bggr', 'gbrg', 'grbg']


def message(encoding: str, rows: np.ndarray, width: int, /, **fields: int) -> Image:
    """Give the message whose data are the bytes [rows, step]; `fields` override its own."""
    rows = np.ascontiguousarray(rows, np.uint8)
    height = len(rows) * 2 // 3 if encoding in CHROMA_BELOW else len(rows)
    image = Image(encoding=encoding, height=height, width=width, step=rows.shape[1])
    image.data = array('B', rows.tobytes())
    for name, value in fields.items():
        setattr(image, name, value)
    return image


def noise(encoding: str, height: int, width: int, padding: int = 0, /, **fields: int) -> Image:
    rows = height * 3 // 2 if encoding in CHROMA_BELOW else height
    step = width * BYTES_PER_PIXEL[encoding] + padding
    data = np.random.default_rng(7).integers(0, 256, (rows, step))
    return message(encoding, data, width, **fields)


def colour(encoding: str, pixels: np.ndarray) -> Image:
    """Give the message of an image uint8 [H, W, channels]."""
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
        image.encoding, image.encoding)
    return message_to_cvimage(types['sensor_msgs/msg/Image'](
        header=None, height=height, width=image.width, encoding=encoding,
        is_bigendian=image.is_bigendian, step=image.step,
        data=np.frombuffer(image.data, np.uint8)), 'bgr8')


def unpadded(image: Image) -> Image:
    rows = np.frombuffer(image.data, np.uint8).reshape(-1, image.step)
    rows = rows[:, :image.width * BYTES_PER_PIXEL[image.encoding]]
    return message(image.encoding, rows, image.width, is_bigendian=image.is_bigendian)


def result_of(image: Image, output: Image | None = None) -> Image:
    """Send an image through the three functions, with an engine that changes nothing."""
    output = output or Image()
    frame = read(image)
    target = prepare(output, frame)
    target[...] = frame.pixels
    finish(output, frame, target)
    return output


def pixels_of(image: Image) -> np.ndarray:
    """Give an unpadded 8-bit message as uint8 [H, W, channels]."""
    assert image.step * image.height == len(image.data)
    return np.array(image.data, np.uint8).reshape(image.height, image.width, -1)


# Reading: the values


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


@pytest.mark.parametrize('encoding, sizes', [
    *[(name, [(1, 1), (1, 7), (7, 1), (5, 7)])
      for name in [*KEPT, 'mono16', 'bgr16', 'rgb16', '8UC1', '8UC3', '8UC4']],
    *[(f'bayer_{pattern}8', [(3, 3), (5, 7), (4, 3)]) for pattern in PATTERNS],
    *[(name, [(1, 2), (3, 2), (1, 6)]) for name in ['yuv422', 'uyvy', 'yuv422_yuy2', 'yuyv']],
    *[(name, [(2, 2), (2, 6), (6, 2)]) for name in CHROMA_BELOW]])
def test_reads_odd_and_tiny_sizes(encoding, sizes):
    for height, width in sizes:
        image = noise(encoding, height, width)
        frame = read(image)
        assert frame.pixels.shape == (height, width, 3)
        np.testing.assert_array_equal(as_bgr(frame), reference(image))


@pytest.mark.parametrize('encoding, pixel', [
    ('bgr8', [10, 20, 30]), ('8UC3', [10, 20, 30]), ('rgb8', [30, 20, 10]),
    ('bgra8', [10, 20, 30, 99]), ('8UC4', [10, 20, 30, 99]), ('rgba8', [30, 20, 10, 99])])
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


@pytest.mark.parametrize('encoding, pair', [
    ('yuv422', 'uyvy'), ('uyvy', 'uyvy'), ('yuv422_yuy2', 'yuyv'), ('yuyv', 'yuyv')])
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


# Reading: the memory


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
        'from derain_ros.images import finish, prepare, read\n'
        'image = SimpleNamespace(encoding="mono8", height=1, width=2, step=2, is_bigendian=0,\n'
        '                        data=b"ab")\n'
        'output = SimpleNamespace(data=b"")\n'
        'frame = read(image)\n'
        'prepare(output, frame)\n'
        'finish(output, frame, frame.pixels)\n'
        'print(output.data.tobytes().decode())\n')
    root = str(Path(derain_ros.__file__).parents[1])
    ran = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=False,
        env={**os.environ, 'PYTHONPATH': root})
    assert ran.stdout.strip() == 'ab', ran.stderr


# Writing


@pytest.mark.parametrize('encoding', KEPT)
@pytest.mark.parametrize('size', [(1, 1), (1, 7), (7, 1), (5, 7), (24, 32)])
@pytest.mark.parametrize('padding', [0, 3])
def test_an_unchanged_image_comes_back(encoding, size, padding):
    image = noise(encoding, *size, padding)
    output = result_of(image)
    assert (output.height, output.width, output.encoding) == (*size, encoding)
    assert output.step == size[1] * BYTES_PER_PIXEL[encoding]
    assert output.is_bigendian == 0
    assert output.data == unpadded(image).data


@pytest.mark.parametrize('encoding', [name for name in BYTES_PER_PIXEL if name not in KEPT])
def test_other_encodings_are_published_as_bgr8_or_under_their_colour_name(encoding):
    image = noise(encoding, 6, 8)
    output = result_of(image)
    expected = {'8UC1': 'mono8', '8UC3': 'bgr8', '8UC4': 'bgra8'}.get(encoding, 'bgr8')
    assert output.encoding == output_encoding(encoding) == expected
    if expected == 'bgr8':
        np.testing.assert_array_equal(pixels_of(output), read(image).pixels)
    else:
        assert output.data == image.data


def test_every_grey_value_comes_back_exactly():
    image = message('mono8', np.arange(256).reshape(16, 16), 16)
    assert result_of(image).data == image.data


@pytest.mark.parametrize('encoding', ['bgra8', 'rgba8'])
def test_alpha_stays_and_colours_take_the_result(encoding):
    image = noise(encoding, 5, 7)
    before, output, frame = pixels_of(image), Image(), read(image)
    target = prepare(output, frame)
    target[...] = 255 - frame.pixels
    finish(output, frame, target)
    np.testing.assert_array_equal(pixels_of(output)[..., 3], before[..., 3])
    np.testing.assert_array_equal(pixels_of(output)[..., :3], 255 - before[..., :3])
    np.testing.assert_array_equal(pixels_of(image), before)


def test_mono8_takes_the_luma_of_a_coloured_result():
    output, frame = Image(), read(noise('mono8', 2, 2))
    target = prepare(output, frame)
    target[...] = [255, 0, 0]
    finish(output, frame, target)
    assert output.data.tolist() == [29] * 4  # 0.114 * 255


@pytest.mark.parametrize('encoding', ['bgr8', 'rgb8', 'nv12', 'mono16'])
def test_the_engine_writes_into_the_message(encoding):
    output, frame = Image(), read(noise(encoding, 4, 6))
    target = prepare(output, frame)
    assert target.flags.writeable and target.flags.c_contiguous
    assert np.shares_memory(target, np.frombuffer(output.data, np.uint8))
    target[...] = 77
    finish(output, frame, target)
    assert output.data.tolist() == [77] * 72


@pytest.mark.parametrize('encoding', KEPT)
def test_takes_a_result_that_lies_elsewhere(encoding):
    image, output = noise(encoding, 4, 6, 2), Image()
    frame = read(image)
    prepare(output, frame)
    finish(output, frame, frame.pixels)
    assert output.data == unpadded(image).data


def test_a_view_of_the_target_is_not_taken_for_the_target():
    image, output = noise('bgr8', 4, 6), Image()
    frame = read(image)
    target = prepare(output, frame)
    target[...] = frame.pixels
    finish(output, frame, target[::-1])
    np.testing.assert_array_equal(pixels_of(output), frame.pixels[::-1])


@pytest.mark.parametrize('result', [
    np.zeros((1, 1, 3), np.uint8), np.zeros((4, 8, 3), np.uint8), np.zeros((4, 6, 3), np.float32)])
def test_refuses_a_result_of_another_shape_or_type(result):
    output, frame = Image(), read(noise('bgr8', 4, 6))
    prepare(output, frame)
    with pytest.raises(ImageError, match=r'uint8 \[4, 6, 3\].*engine'):
        finish(output, frame, result)


# A pool of messages


def test_a_message_keeps_its_memory_from_frame_to_frame():
    output = Image(is_bigendian=1)
    result_of(noise('bgr8', 4, 6), output)
    data = output.data
    result_of(noise('rgb8', 6, 4), output)
    assert output.data is data
    assert (output.height, output.width, output.step, output.encoding) == (6, 4, 12, 'rgb8')
    assert output.is_bigendian == 0


def test_a_message_serves_frames_of_any_size_and_encoding():
    output, targets = Image(), []
    for encoding in BYTES_PER_PIXEL:
        for height, width in [(4, 6), (8, 8), (4, 4)]:
            image = noise(encoding, height, width)
            targets.append(prepare(output, read(image)))  # kept: their memory must not move
            result_of(image, output)
            alone = result_of(image)
            assert output.data == alone.data and output.step == alone.step
            assert output.encoding == alone.encoding


def test_an_earlier_target_does_not_write_into_a_later_frame():
    output = Image()
    early = prepare(output, read(noise('bgr8', 4, 6)))
    result_of(noise('bgr8', 8, 8), output)
    expected = output.data[:]
    early[...] = 0
    assert output.data == expected


# What cannot be read


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
        Image(encoding='mono8', height=2, width=2, step=2), '2 x 2', '0 bytes', 'camera driver')


@pytest.mark.parametrize('encoding', BYTES_PER_PIXEL)
@pytest.mark.parametrize('change', [-1, 1])
def test_refuses_data_that_is_too_short_or_too_long(encoding, change):
    image = noise(encoding, 4, 6)
    size = len(image.data)
    image.data = array('B', bytes(size + change))
    assert_refused(
        image, encoding, f'{size + change} bytes', f'take {size}', f'step of {image.step}',
        'correct height and step')


def test_refuses_a_huge_image_with_little_data():
    most = 2 ** 32 - 1
    image = noise('mono8', 2, 2, height=most, width=most, step=most)
    assert_refused(image, '4 bytes', str(most * most))


@pytest.mark.parametrize('encoding', BYTES_PER_PIXEL)
def test_refuses_a_step_shorter_than_a_row(encoding):
    row = 6 * BYTES_PER_PIXEL[encoding]
    image = noise(encoding, 4, 6, step=row - 1)
    assert_refused(image, encoding, f'step of {row - 1}', f'need {row}', 'padding included')


@pytest.mark.parametrize('encoding, height, width, side', [
    ('yuv422', 2, 3, 'width'), ('uyvy', 2, 3, 'width'), ('yuyv', 2, 1, 'width'),
    ('yuv422_yuy2', 2, 3, 'width'), ('nv12', 3, 2, 'height'), ('nv21', 2, 3, 'width'),
    ('nv21', 3, 2, 'height')])
def test_refuses_half_a_colour(encoding, height, width, side):
    image = noise(encoding, height, width, height=height)
    assert_refused(image, encoding, f'odd {side}', f'even {side}', 'publish bgr8')


@pytest.mark.parametrize('size', [(1, 1), (2, 2), (2, 8), (8, 2)])
def test_refuses_a_mosaic_without_neighbours(size):
    assert (cv2.cvtColor(np.full(size, 200, np.uint8), cv2.COLOR_BayerBG2BGR) == 0).all()
    assert_refused(noise('bayer_rggb8', *size), 'bayer_rggb8', 'too small', '3 x 3')
