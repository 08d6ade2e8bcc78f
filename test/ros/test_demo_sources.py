"""What the demo's camera can show."""

import os

import cv2
from helpers.bags import forget_definitions
from helpers.demo import write_bag
import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin
from sources import clip, FASTEST_HZ, open_source, rate_hz, SLOWEST_HZ

from derain_ros.errors import DataError


def test_a_photograph_that_was_cut_short_is_named(tmp_path, street):
    """OpenCV would fill it up in grey."""
    jpeg = cv2.imencode('.jpg', street)[1].tobytes()
    (tmp_path / '1.jpg').write_bytes(jpeg)
    (tmp_path / '02.jpg').write_bytes(jpeg[: len(jpeg) // 2])
    shots = open_source(tmp_path, None).shots()
    assert next(shots).image.shape == street.shape
    with pytest.raises(DataError, match=r'02\.jpg: not a readable image'):
        next(shots)


def test_one_photograph_is_one_frame_at_no_rate(tmp_path, street):
    cv2.imwrite(str(tmp_path / 'photo.png'), street)
    source = open_source(tmp_path / 'photo.png', None)
    assert (source.rate_hz, source.count) == (None, 1)
    np.testing.assert_array_equal(next(source.shots()).image, street)


def test_a_rosbag_of_humble_is_played(tmp_path, street):
    write_bag(tmp_path / 'recorded', street, storage=StoragePlugin.SQLITE3)
    forget_definitions(tmp_path / 'recorded' / 'recorded.db3')
    shots = list(open_source(tmp_path / 'recorded', '/front/image_raw').shots())
    assert len(shots) == 6
    assert np.array_equal(shots[0].image, street[..., ::-1])


def test_a_rosbag_is_played_at_the_rate_of_its_images(tmp_path, street):
    write_bag(tmp_path / 'recorded', street)
    assert open_source(tmp_path / 'recorded', '/front/image_raw').rate_hz == 10


def test_the_clip_rains_the_same_every_time():
    first, second = (next(clip().shots()) for _ in range(2))
    assert np.array_equal(first.image, second.image)
    assert first.clean.shape == (272, 640, 3)
    assert np.all(first.image >= first.clean), 'rain is added, never taken away'


@pytest.mark.parametrize(
    'make, reason',
    [
        (lambda path: None, 'no such file or folder'),
        (lambda path: path.mkdir(), 'holds no image'),
        (lambda path: path.write_text('text'), 'is neither an image (.bmp, .jpeg, .jpg,'),
        (lambda path: [path.mkdir(), (path / 'drive.mcap').touch()], 'it is empty'),
        (os.mkfifo, 'is a pipe, socket or device'),
        (
            lambda path: write_bag(path, np.zeros((16, 16, 3), np.uint8)),
            'choose one of: /front/image_raw, /rear/compressed',
        ),
    ],
)
def test_an_input_that_cannot_be_shown_is_named_with_the_reason(tmp_path, make, reason):
    make(tmp_path / 'input')
    with pytest.raises(DataError) as raised:
        next(open_source(tmp_path / 'input', None).shots())
    assert str(raised.value).startswith(f'{tmp_path / "input"}')
    assert reason in str(raised.value)


@pytest.mark.parametrize(
    ('stamps_s', 'expected_hz'),
    [
        ([0, 0.1, 0.2, 0.3], 10),
        ([0, 0, 0, 0.1, 0.1, 0.1, 0.2], 30),  # a coarse clock
        ([0, 1.7e9, 1.7e9 + 0.1, 1.7e9 + 0.2, 1.7e9 + 0.3], 10),  # set after the first image
        ([0, 0.1, 0.2, 60, 60.1, 60.2, 60.3], 10),  # a pause
        ([0, 60, 120], SLOWEST_HZ),
        ([0, 1e-6, 2e-6], FASTEST_HZ),
        ([5, 5, 5], None),
        ([5], None),
    ],
)
def test_the_rate_is_one_that_can_be_watched(stamps_s, expected_hz):
    rate = rate_hz((np.array(stamps_s) * 1e9).astype(np.int64))
    assert rate == (expected_hz and pytest.approx(expected_hz, rel=0.2))
