"""Recordings that are damaged, not closed, or no recordings at all."""

from pathlib import Path
import shutil
import sqlite3

import cv2
from helpers.bags import bag_shades, KINDS, rechunked, storage_file, TOPIC, write_bag
import numpy as np
import pytest
from rosbags.rosbag1 import Writer as Ros1Writer
import zstandard

from derain_ros.errors import DataError, ImageError
from derain_ros.media.bags import BagReader, index_bag

TEN = [10 * index for index in range(10)]


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    (tmp_path / 'scratch').mkdir()
    return tmp_path / 'scratch'


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


def test_a_compressed_file_that_is_cut_is_read_up_to_there(tmp_path, scratch):
    noise = np.random.default_rng(0).integers(0, 256, (9, 99, 99, 3), np.uint8)
    bag = write_bag(
        tmp_path / 'rain',
        'mcap',
        stamps_ns=range(9),
        picture=lambda index: cv2.imencode('.png', noise[index])[1],
    )
    data = zstandard.compress(rechunked(storage_file('mcap', bag)).read_bytes())
    (tmp_path / 'cut.mcap.zstd').write_bytes(data[: len(data) // 2])
    index = index_bag(tmp_path / 'cut.mcap.zstd', scratch)
    assert 2 <= len(index.places) < 9
    assert 'cut.mcap.zstd: damaged' in index.problems[0]


# of bz2 nothing is left that is not a whole block of 900 kB
@pytest.mark.parametrize(
    ('compression', 'cut'), [(None, 1), (None, 0.6), ('LZ4', 1), ('LZ4', 0.6), ('BZ2', 1)]
)
def test_a_bag_that_is_still_open_is_read(compression, cut, tmp_path, scratch):
    """Its index is at the end, and where that will be is said at the beginning."""
    noise = np.random.default_rng(0).integers(0, 256, (10, 99, 99, 3), np.uint8)
    options = {'fmt': Ros1Writer.CompressionFormat[compression]} if compression else {}
    bag = write_bag(
        tmp_path / 'rain.bag',
        'ros1',
        picture=lambda index: cv2.imencode('.png', noise[index])[1],
        **options,
    )
    data = bag.read_bytes()
    start = data.index(b'index_pos=') + 10
    end = int.from_bytes(data[start : start + 8], 'little')
    active = data[:start] + bytes(8) + data[start + 8 : end]
    (tmp_path / 'rain.bag.active').write_bytes(active[: round(cut * len(active))])
    index = index_bag(tmp_path / 'rain.bag.active', scratch)
    assert len(index.places) == 10 if cut == 1 else 0 < len(index.places) < 10
    assert len(bag_shades(index)) == len(index.places)
    assert 'rain.bag.active: damaged' in index.problems[0]


def test_messages_that_sqlite_has_not_written_to_its_database_are_read(tmp_path, scratch):
    bag = write_bag(tmp_path / 'rain', 'sqlite3')
    storage, copy = storage_file('sqlite3', bag), tmp_path / 'recording'
    database = sqlite3.connect(storage)
    database.execute('PRAGMA journal_mode = WAL')
    (stored,) = database.execute('SELECT data FROM messages WHERE id = 10').fetchone()
    query = 'INSERT INTO messages (topic_id, timestamp, data) VALUES (1, ?, ?)'
    database.executemany(query, [(10**9 + index, stored) for index in range(3)])
    database.commit()
    copy.mkdir()
    for name in (storage.name, f'{storage.name}-wal'):  # as if the power went now
        shutil.copy(bag / name, copy)
    database.close()
    before = {path.name: path.read_bytes() for path in copy.iterdir()}

    index = index_bag(copy, scratch)

    assert bag_shades(index) == [*TEN, 90, 90, 90]
    assert 'with messages still in rain.db3-wal; both are read' in index.problems[0]
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == before
    assert [path.name for path in scratch.iterdir()] == ['0_rain.db3']


@pytest.mark.parametrize(
    'metadata',
    [
        '[' * 3000,
        'rosbag2_bagfile_information: {relative_file_paths: rain.mcap}',
        'rosbag2_bagfile_information: {relative_file_paths: [1, 2]}',
    ],
)
def test_damaged_metadata_cost_no_image(metadata, tmp_path, scratch):
    bag = write_bag(tmp_path / 'rain', 'mcap')
    (bag / 'metadata.yaml').write_text(metadata)
    index = index_bag(bag, scratch)
    assert bag_shades(index) == TEN
    assert 'metadata.yaml: is damaged' in index.problems[0]


def test_a_part_that_is_missing_is_named(tmp_path, scratch):
    bag = write_bag(tmp_path / 'rain', 'mcap')
    text = (bag / 'metadata.yaml').read_text()
    (bag / 'metadata.yaml').write_text(
        text.replace('  - rain.mcap', '  - rain.mcap\n  - more.mcap')
    )
    index = index_bag(bag, scratch)
    assert index.problems == [f'{bag / "more.mcap"}: is missing']
    assert bag_shades(index) == TEN


@pytest.mark.parametrize(
    ('content', 'reason'),
    [
        (b'', 'it is empty'),
        (b'it rained', 'neither a ROS 1 bag'),
        (b'#ROSBAG V1.2\n', 'neither a ROS 1 bag'),
        (b'#ROSBAG V2.0\n', 'was not closed'),
        (b'\x89MCAP0\r\n', 'damaged'),
        (b'SQLite format 3\0', 'damaged'),
        (b'\x28\xb5\x2f\xfd', 'it is empty'),
    ],
)
def test_what_is_no_bag_is_named(content, reason, tmp_path, scratch):
    (tmp_path / 'notes.bag').write_bytes(content)
    with pytest.raises(DataError, match=rf'notes\.bag: not a readable bag .*{reason}'):
        index_bag(tmp_path / 'notes.bag', scratch)
    with pytest.raises(DataError, match='nowhere: no such bag'):
        index_bag(tmp_path / 'nowhere', scratch)


def test_a_message_that_is_damaged_is_an_image_error(kind, tmp_path, scratch):
    bag = write_bag(
        tmp_path / 'rain.bag', kind, picture=lambda index: b'' if index else b'it rained'
    )
    index = index_bag(bag, scratch)
    with BagReader(index) as reader:
        for place in index.of(TOPIC):
            with pytest.raises(ImageError, match='neither JPEG nor PNG'):
                reader.read(place)
        for wrong in ('block', 'offset'):
            place = index.of(TOPIC)[0].copy()
            place[wrong] += 1000
            if (kind, wrong) != ('sqlite3', 'offset'):
                with pytest.raises(ImageError, match='its message is damaged'):
                    reader.read(place)
