"""What is kept of a bag, where, and what training makes of stamps and headers that are wrong."""

import os
from pathlib import Path
import struct

import cv2
from helpers.bags import grey, KINDS, shades, TOPIC, write_bag
import numpy as np
import pytest

from derain_ros.errors import DataError
from training.configuration import Bag
from training.data.bags import BagFrames

TEN = [10 * index for index in range(10)]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    return tmp_path / 'cache' / 'derain_ros'


def frames(path: Path, **options: object) -> BagFrames:
    return BagFrames(Bag(path=path.name, **options), path.parent, 16)


@pytest.mark.parametrize('kind', KINDS)
def test_images_of_one_stamp_are_all_trained_on(kind: str, tmp_path: Path) -> None:
    """A simulation with a coarse clock gives several images one stamp."""
    stamps = [index // 3 * 10**8 for index in range(20)]
    bag = write_bag(tmp_path / KINDS[kind][0], kind, stamps_ns=stamps)
    assert shades(frames(bag)) == [10 * index for index in range(20)]


@pytest.mark.parametrize('first', [0, 5 * 10**9])
def test_times_count_from_when_the_clock_was_set(first: int, tmp_path: Path) -> None:
    start = 1_700_000_000 * 10**9
    bag = write_bag(tmp_path / 'rain', 'mcap', stamps_ns=[first, *range(start, start + 9)])
    assert shades(frames(bag, stop=1.0)) == TEN
    with pytest.raises(DataError, match=r'its images are at 0 to 0\.0 s'):
        frames(bag, start=1.0)


def test_an_image_that_claims_an_absurd_size_is_passed_over(tmp_path: Path) -> None:
    def picture(index: int) -> bytes:
        data = bytearray(cv2.imencode('.jpg', grey(10 * index))[1])
        if index == 3:
            frame = data.index(b'\xff\xc0')
            data[frame + 5 : frame + 9] = struct.pack('>HH', 65280, 65280)
        return bytes(data)

    bag = write_bag(tmp_path / 'rain', 'mcap', picture=picture, message_format='jpeg')
    with pytest.warns(UserWarning, match=f'{TOPIC} at 300000000 ns .*claims 65280 x 65280 pixels'):
        assert shades(frames(bag)) == [0, 10, 20, 40, *TEN[4:]]


def test_a_mosaic_is_trained_on_in_colour(tmp_path: Path) -> None:
    mosaic = np.zeros((32, 48), np.uint8)
    mosaic[::2, ::2] = 200  # the red ones
    bag = write_bag(
        tmp_path / 'rain',
        'mcap',
        picture=lambda index: cv2.imencode('.png', mosaic)[1],
        message_format='bayer_rggb8; png compressed ',
    )
    assert frames(bag)[0][4:-4, 4:-4].mean((0, 1)).tolist() == [200, 0, 0]


def test_topics_are_named(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / 'rain', 'mcap', topics=['/a', '/b'])
    assert shades(frames(bag)) == TEN + TEN
    with pytest.raises(DataError, match='has no image topic /c; it has: /a, /b'):
        frames(bag, topics=['/c'])
    with pytest.raises(DataError, match='none: has no images; take it out'):
        frames(write_bag(tmp_path / 'none', 'mcap', stamps_ns=[]))


@pytest.mark.parametrize('damage', [b'', b'it rained', b'PK\x03\x04'])
def test_a_damaged_index_is_made_again(damage: bytes, tmp_path: Path, cache: Path) -> None:
    bag = write_bag(tmp_path / 'rain', 'mcap')
    frames(bag)
    (index,) = cache.glob('*/index.npz')
    whole = index.read_bytes()
    index.write_bytes(damage)
    assert shades(frames(bag)) == TEN
    assert index.read_bytes() == whole


def test_an_index_of_what_is_gone_is_made_again(tmp_path: Path, cache: Path) -> None:
    from rosbags.rosbag2 import CompressionFormat, CompressionMode

    options = {'mode': CompressionMode.FILE, 'fmt': CompressionFormat.ZSTD}
    bag = write_bag(tmp_path / 'rain', 'mcap', **options)
    frames(bag)
    (copy,) = cache.glob('*/0_*')  # decompressed
    copy.unlink()
    assert shades(frames(bag)) == TEN


def test_a_cache_that_others_can_write_to_is_refused(tmp_path: Path, cache: Path) -> None:
    bag = write_bag(tmp_path / 'rain', 'mcap')
    cache.mkdir(parents=True)
    cache.chmod(0o777)
    with pytest.raises(DataError, match=r'other users can write to it.*set XDG_CACHE_HOME'):
        frames(bag)


def test_a_link_that_was_planted_as_the_lock_costs_nobody_a_file(
    tmp_path: Path, cache: Path
) -> None:
    bag = write_bag(tmp_path / 'rain', 'mcap')
    frames(bag)
    (lock,) = cache.glob('*/lock')
    (tmp_path / 'precious').write_text('precious')
    lock.unlink()
    lock.symlink_to(tmp_path / 'precious')
    with pytest.raises(DataError, match=r'lock: cannot be locked .* remove it'):
        frames(bag)
    assert (tmp_path / 'precious').read_text() == 'precious'


def test_without_a_home_the_way_out_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bag = write_bag(tmp_path / 'rain', 'mcap')
    monkeypatch.delenv('XDG_CACHE_HOME')
    monkeypatch.delenv('HOME')
    monkeypatch.setattr('pwd.getpwuid', {}.__getitem__)
    with pytest.raises(DataError, match=r'no home directory .*set XDG_CACHE_HOME'):
        frames(bag)


def test_a_cache_that_cannot_be_made_names_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bag = write_bag(tmp_path / 'rain', 'mcap')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'rain' / 'metadata.yaml'))
    with pytest.raises(DataError, match=r'cannot be made .*set XDG_CACHE_HOME'):
        frames(bag)


def test_a_pipe_in_place_of_a_bag_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / 'rain.bag')
    with pytest.raises(DataError, match='is a pipe, socket or device'):
        frames(tmp_path / 'rain.bag')
