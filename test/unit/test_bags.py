"""The images of recordings of every format."""

from collections import defaultdict
from pathlib import Path
import shutil

import cv2
from helpers.bags import bag_shades, grey, KINDS, rechunked, storage_file, TOPIC, write_bag
import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag2 import CompressionFormat, CompressionMode
import zstandard

from derain_ros.errors import DataError
from derain_ros.media.bags import BagReader, index_bag

TEN = [10 * index for index in range(10)]


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    (tmp_path / 'scratch').mkdir()
    return tmp_path / 'scratch'


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


def test_images_are_read_in_any_order(kind, tmp_path, scratch):
    index = index_bag(write_bag(tmp_path / KINDS[kind][0], kind), scratch)
    assert (index.topics, len(index.places), index.problems) == ([TOPIC], 10, [])
    with BagReader(index) as reader:
        for number in (9, 0, 4):
            place = index.of(TOPIC)[number]
            assert place['stamp_ns'] == number * 10**8
            np.testing.assert_array_equal(reader.read(place).pixels, grey(10 * number))
    assert list(scratch.iterdir()) == []


def test_the_same_is_found_as_rosbags_finds(kind, tmp_path, scratch):
    noise = np.random.default_rng(0).integers(0, 256, (40, 99, 99, 3), np.uint8)
    bag = write_bag(
        tmp_path / KINDS[kind][0],
        kind,
        topics=['/b', '/a', '/c'],
        stamps_ns=np.random.default_rng(1).integers(0, 2**40, 40).tolist(),
        picture=lambda index: cv2.imencode('.png', noise[index])[1],
    )
    if kind == 'mcap':
        rechunked(storage_file(kind, bag))
    index, images = index_bag(bag, scratch), defaultdict(list)
    with BagReader(index) as reader:
        for topic in index.topics:
            for place in index.of(topic):
                images[topic].append((int(place['stamp_ns']), reader.read(place).pixels))
    with AnyReader([bag]) as reader:
        for connection, stamp_ns, data in reader.messages():
            message = reader.deserialize(data, connection.msgtype)
            stamp, pixels = images[connection.topic].pop(0)
            assert stamp == stamp_ns
            np.testing.assert_array_equal(pixels, cv2.imdecode(message.data, cv2.IMREAD_COLOR))
    assert index.topics == ['/a', '/b', '/c']
    assert not any(images.values())


def test_images_of_one_stamp_are_all_found(kind, tmp_path, scratch):
    """The clock of a simulation may stand still for some images, or for all."""
    for name, stamps in (
        ('coarse', [index // 3 * 10**8 for index in range(10)]),
        ('all', [0] * 10),
    ):
        bag = write_bag(tmp_path / f'{name}.bag', kind, stamps_ns=stamps)
        assert bag_shades(index_bag(bag, scratch)) == TEN


def test_images_are_given_by_stamp_from_all_files(kind, tmp_path, scratch):
    (tmp_path / 'drive').mkdir()
    for number, start in enumerate([10**9, 0]):
        stamps = range(start, start + 10**9, 10**8)
        bag = write_bag(tmp_path / f'{number}.bag', kind, stamps_ns=stamps)
        shutil.move(storage_file(kind, bag), tmp_path / 'drive' / f'{number}{_suffix(kind)}')
    index = index_bag(tmp_path / 'drive', scratch)
    assert (np.diff(index.places['stamp_ns']) == 10**8).all()
    assert bag_shades(index) == TEN * 2


def _suffix(kind: str) -> str:
    return Path(KINDS[kind][2]).suffix


@pytest.mark.parametrize('name', ['100 %.bag', 'a?b#c.bag', 'naïve.bag'])
def test_a_name_may_hold_any_character(kind, name, tmp_path, scratch):
    bag = storage_file(kind, write_bag(tmp_path / KINDS[kind][0], kind)).rename(tmp_path / name)
    assert bag_shades(index_bag(bag, scratch)) == TEN


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.parametrize('mode', [CompressionMode.FILE, CompressionMode.MESSAGE])
def test_what_rosbag2_compressed_is_read(storage, mode, tmp_path, scratch):
    options = {'mode': mode, 'fmt': CompressionFormat.ZSTD}
    bag = write_bag(tmp_path / 'rain', storage, **options)
    assert bag_shades(index_bag(bag, scratch)) == TEN
    for file in bag.glob('*.zstd'):  # by hand, which the metadata does not know
        zstandard.ZstdDecompressor().copy_stream(file.open('rb'), file.with_suffix('').open('wb'))
        file.unlink()
    assert bag_shades(index_bag(bag, scratch)) == TEN
    (bag / 'metadata.yaml').unlink()  # which says how it is compressed
    assert bag_shades(index_bag(bag, scratch)) == TEN


def test_a_compressed_file_is_read_by_itself_and_not_twice(kind, tmp_path, scratch):
    storage = storage_file(kind, write_bag(tmp_path / KINDS[kind][0], kind))
    (tmp_path / 'drive').mkdir()
    compressed = tmp_path / 'drive' / f'{storage.name}.zstd'
    compressed.write_bytes(zstandard.compress(storage.read_bytes()))
    assert bag_shades(index_bag(compressed, scratch)) == TEN
    shutil.copy(storage, tmp_path / 'drive')
    assert bag_shades(index_bag(tmp_path / 'drive', scratch)) == TEN


@pytest.mark.parametrize('compression', list(Ros1Writer.CompressionFormat))
def test_what_rosbag_compressed_is_read(compression, tmp_path, scratch):
    assert (
        bag_shades(index_bag(write_bag(tmp_path / 'a.bag', 'ros1', fmt=compression), scratch))
        == TEN
    )


def test_a_topic_is_chosen(tmp_path, scratch):
    one = index_bag(write_bag(tmp_path / 'one', 'mcap'), scratch)
    assert one.chosen(None) == one.chosen(TOPIC) == TOPIC
    two = index_bag(write_bag(tmp_path / 'two', 'mcap', topics=['/a', '/b']), scratch)
    with pytest.raises(DataError, match='two: has several image topics; choose one of: /a, /b'):
        two.chosen(None)
    with pytest.raises(DataError, match='two: has no image topic /c; it has: /a, /b'):
        two.chosen('/c')
    none = index_bag(write_bag(tmp_path / 'none', 'mcap', stamps_ns=[]), scratch)
    with pytest.raises(DataError, match='none: has no topic of images'):
        none.chosen(None)
