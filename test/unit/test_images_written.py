"""NumPy to sensor_msgs/Image: what is published, and in which memory."""

from helpers.image_messages import BYTES_PER_PIXEL, KEPT_ENCODINGS, message, noise, unpadded
import numpy as np
import pytest
from sensor_msgs.msg import Image

from derain_ros.image.encodings import output_encoding
from derain_ros.image.raw import finish, ImageError, prepare, read


def result_of(image: Image, output: Image | None = None) -> Image:
    """Send an image through the three functions, with an engine that changes nothing."""
    output = output or Image()
    frame = read(image)
    target = prepare(output, frame)
    target[...] = frame.pixels
    finish(output, frame, target)
    return output


def pixels_of(image: Image) -> np.ndarray:
    """Return an unpadded 8-bit message as uint8 [H, W, channels]."""
    assert image.step * image.height == len(image.data)
    return np.array(image.data, np.uint8).reshape(image.height, image.width, -1)


@pytest.mark.parametrize('encoding', KEPT_ENCODINGS)
@pytest.mark.parametrize('size', [(1, 1), (1, 7), (7, 1), (5, 7), (24, 32)])
@pytest.mark.parametrize('padding', [0, 3])
def test_an_unchanged_image_comes_back(encoding, size, padding):
    image = noise(encoding, *size, padding)
    output = result_of(image)
    assert (output.height, output.width, output.encoding) == (*size, encoding)
    assert output.step == size[1] * BYTES_PER_PIXEL[encoding]
    assert output.is_bigendian == 0
    assert output.data == unpadded(image).data


@pytest.mark.parametrize(
    'encoding', [name for name in BYTES_PER_PIXEL if name not in KEPT_ENCODINGS]
)
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


@pytest.mark.parametrize('encoding', KEPT_ENCODINGS)
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


@pytest.mark.parametrize(
    'result',
    [
        np.zeros((1, 1, 3), np.uint8),
        np.zeros((4, 8, 3), np.uint8),
        np.zeros((4, 6, 3), np.float32),
    ],
)
def test_refuses_a_result_of_another_shape_or_type(result):
    output, frame = Image(), read(noise('bgr8', 4, 6))
    prepare(output, frame)
    with pytest.raises(ImageError, match=r'uint8 \[4, 6, 3\].*engine'):
        finish(output, frame, result)


# One message, used again and again


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
