"""Real rain from bags of every kind."""

import os
from pathlib import Path
import shutil

import cv2
from helpers.bags import forget_definitions, KINDS, record, shades, TOPIC
from helpers.photos import SHADES
import numpy as np
from PIL import Image
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import get_typestore, Stores
from torch.utils.data import DataLoader

from derain_ros.errors import DataError
from training.configuration import Bag
from training.data.bags import BagFrames
from training.data.photographs import Photographs


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    return tmp_path / 'cache' / 'derain_ros'


@pytest.mark.parametrize('kind', KINDS)
def test_every_frame_of_a_bag_can_be_had_in_any_order(
    kind: str, photos: Path, tmp_path: Path
) -> None:
    frames = BagFrames(Bag(path=record(kind, photos, tmp_path)), tmp_path, smallest=64)

    assert len(frames) == 24
    for index in (23, 0, 7):
        expected = np.asarray(Image.open(photos / f'{index:03}.jpg'))
        # decoders of JPEG may differ by rounding
        assert np.abs(frames[index].astype(int) - expected).max() <= 3


def test_bags_of_humble_are_read(photos: Path, tmp_path: Path) -> None:
    name = record('sqlite3', photos, tmp_path)
    forget_definitions(tmp_path / KINDS['sqlite3'][2])

    assert shades(BagFrames(Bag(path=name), tmp_path, smallest=64)) == SHADES


def test_topics_and_times_are_chosen(photos: Path, tmp_path: Path) -> None:
    name = record('mcap', photos, tmp_path)

    part = BagFrames(Bag(path=name, topics=[TOPIC], start=2.0, stop=4.0), tmp_path, 64)

    assert shades(part) == SHADES[4:8]
    with pytest.raises(DataError, match=r'has no image topic /rear; it has: /front/compressed'):
        BagFrames(Bag(path=name, topics=['/rear']), tmp_path, 64)
    with pytest.raises(
        DataError,
        match=r'has no image from start: 100 to stop: inf; its images '
        r'are at 0 to 11\.5 s',
    ):
        BagFrames(Bag(path=name, start=100.0), tmp_path, 64)


def test_raw_images_are_read_in_their_encoding(tmp_path: Path) -> None:
    types = get_typestore(Stores.ROS2_HUMBLE)
    stamp = types.types['builtin_interfaces/msg/Time'](0, 0)
    header = types.types['std_msgs/msg/Header'](stamp=stamp, frame_id='')
    picture = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    with Writer(tmp_path / 'raw', version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        kind = 'sensor_msgs/msg/Image'
        connection = writer.add_connection('/raw', kind, typestore=types)
        message = types.types[kind](header, 32, 48, 'bgr8', 0, 144, picture.ravel())
        writer.write(connection, 0, types.serialize_cdr(message, kind))

    np.testing.assert_array_equal(BagFrames(Bag(path='raw'), tmp_path, 16)[0], picture[..., ::-1])


def test_the_index_is_kept_until_the_bag_changes(
    photos: Path, tmp_path: Path, cache: Path
) -> None:
    bag = Bag(path=record('ros1', photos, tmp_path))
    BagFrames(bag, tmp_path, 64)
    (index,) = cache.glob('*/index.npz')
    written = index.stat().st_mtime_ns

    assert len(BagFrames(bag, tmp_path, 64)) == 24
    assert index.stat().st_mtime_ns == written
    shutil.rmtree(photos / '..' / 'photos')
    cv2.imwrite(str(tmp_path / 'one.png'), np.zeros((64, 64, 3), np.uint8))
    photos.mkdir()
    shutil.move(tmp_path / 'one.png', photos / 'one.png')
    (tmp_path / 'rain.bag').unlink()
    record('ros1', photos, tmp_path)
    assert len(BagFrames(bag, tmp_path, 64)) == 1


def test_bags_are_not_kept_open(photos: Path, tmp_path: Path) -> None:
    """A process may hold 1024 files as a rule, and an experiment may have more bags."""
    before = len(os.listdir('/proc/self/fd'))
    frames = BagFrames(Bag(path=record('mcap', photos, tmp_path)), tmp_path, 64)

    assert shades(frames) == SHADES
    assert len(os.listdir('/proc/self/fd')) == before


def test_an_index_holds_wherever_it_is_read_from(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bag = Bag(path=record('mcap', photos, tmp_path))
    (tmp_path / 'elsewhere').mkdir()

    monkeypatch.chdir(tmp_path)
    assert shades(BagFrames(bag, Path(), 64)) == SHADES
    monkeypatch.chdir(tmp_path / 'elsewhere')
    assert shades(BagFrames(bag, Path('..'), 64)) == SHADES


def test_engines_can_still_be_trusted_beside_an_index(
    photos: Path, tmp_path: Path, cache: Path
) -> None:
    before = os.umask(0o002)  # Ubuntu's, under which folders are for groups too
    try:
        BagFrames(Bag(path=record('mcap', photos, tmp_path)), tmp_path, 64)
    finally:
        os.umask(before)

    assert cache.stat().st_mode & 0o777 == 0o700


def test_images_smaller_than_a_crop_are_named(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match='/front/compressed are smaller than the crop of 192'):
        BagFrames(Bag(path=record('mcap', photos, tmp_path)), tmp_path, smallest=192)


def test_bags_are_read_in_worker_processes(photos: Path, tmp_path: Path) -> None:
    frames = BagFrames(Bag(path=record('sqlite3', photos, tmp_path)), tmp_path, 64)

    loaded = [
        round(float(np.mean(frame.numpy())), -1)
        for frame in DataLoader(frames, batch_size=None, num_workers=2)
    ]

    assert loaded == SHADES


def test_photographs_leave_out_the_validation_numbers(photos: Path) -> None:
    frames = Photographs(photos, 64, held_out=range(3, 25))

    assert [round(float(frames[index].mean()), -1) for index in range(len(frames))] == SHADES[:3]
    with pytest.raises(DataError, match=r'photos: every file is numbered within validation'):
        Photographs(photos, 64, held_out=range(25))


def test_broken_photograph_is_named_before_training_starts(photos: Path) -> None:
    Image.fromarray(np.zeros((99, 99, 3), np.uint8)).save(photos / 'broken.png')
    whole = (photos / 'broken.png').read_bytes()
    (photos / 'broken.png').write_bytes(whole[: len(whole) // 2])

    with pytest.raises(DataError, match=r'broken\.png: not a readable image'):
        Photographs(photos, 64, range(0))


def test_an_image_smaller_than_the_crop_is_passed_over_and_named(
    photos: Path, tmp_path: Path
) -> None:
    Image.fromarray(np.full((160, 40, 3), 90, np.uint8)).save(photos / '003.jpg')
    frames = BagFrames(Bag(path=record('mcap', photos, tmp_path)), tmp_path, 64)

    with pytest.warns(UserWarning, match='at 1500000000 ns is smaller than the crop of 64'):
        assert round(float(frames[3].mean()), -1) == SHADES[4]


def test_images_that_are_no_jpeg_keep_their_colours(photos: Path, tmp_path: Path) -> None:
    for path in photos.iterdir():
        path.unlink()
    Image.fromarray(np.full((64, 64, 3), (200, 120, 40), np.uint8)).save(photos / 'orange.png')

    frames = BagFrames(Bag(path=record('mcap', photos, tmp_path)), tmp_path, 64)

    np.testing.assert_allclose(frames[0].mean((0, 1)), (200, 120, 40), atol=4)
