"""The images of recordings of every format, and what else lies in them."""

from pathlib import Path
import shutil
import sqlite3

import cv2
from helpers.bags import COMPRESSED, grey, KINDS, rechunked, TOPIC, write_bag
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter
import numpy as np
import pytest
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag2 import CompressionFormat, CompressionMode
from rosbags.typesys import get_typestore, Stores
import zstandard

from derain_ros.errors import DataError, ImageError
from derain_ros.media.bags import BagIndex, BagReader, index_bag

TEN = [10 * index for index in range(10)]


def shades(index: BagIndex, topic: str = TOPIC) -> list[int]:
    """Read all images of a topic, and return their grey levels."""
    with BagReader(index) as reader:
        return [int(reader.read(place).pixels.mean()) for place in index.of(topic)]


def storage_file(kind: str, bag: Path) -> Path:
    """Return the file that holds the messages of a bag that is named as in ``KINDS``."""
    return bag if kind == 'ros1' else bag / f'{bag.name}.{"db3" if kind == "sqlite3" else kind}'


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


def test_images_of_one_stamp_are_all_found(kind, tmp_path, scratch):
    """The clock of a simulation may stand still for some images, or for all."""
    for name, stamps in (
        ('coarse', [index // 3 * 10**8 for index in range(10)]),
        ('all', [0] * 10),
    ):
        bag = write_bag(tmp_path / f'{name}.bag', kind, stamps_ns=stamps)
        assert shades(index_bag(bag, scratch)) == TEN


def test_images_are_given_by_stamp_from_all_files(kind, tmp_path, scratch):
    (tmp_path / 'drive').mkdir()
    for number, start in enumerate([10**9, 0]):
        stamps = range(start, start + 10**9, 10**8)
        bag = write_bag(tmp_path / f'{number}.bag', kind, stamps_ns=stamps)
        shutil.move(storage_file(kind, bag), tmp_path / 'drive' / f'{number}{_suffix(kind)}')
    index = index_bag(tmp_path / 'drive', scratch)
    assert (np.diff(index.places['stamp_ns']) == 10**8).all()
    assert shades(index) == TEN * 2


def _suffix(kind: str) -> str:
    return Path(KINDS[kind][2]).suffix


@pytest.mark.parametrize('name', ['100 %.bag', 'a?b#c.bag', 'naïve.bag'])
def test_a_name_may_hold_any_character(kind, name, tmp_path, scratch):
    bag = storage_file(kind, write_bag(tmp_path / KINDS[kind][0], kind)).rename(tmp_path / name)
    assert shades(index_bag(bag, scratch)) == TEN


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.parametrize('mode', [CompressionMode.FILE, CompressionMode.MESSAGE])
def test_what_rosbag2_compressed_is_read(storage, mode, tmp_path, scratch):
    options = {'mode': mode, 'fmt': CompressionFormat.ZSTD}
    bag = write_bag(tmp_path / 'rain', storage, **options)
    assert shades(index_bag(bag, scratch)) == TEN
    (bag / 'metadata.yaml').unlink()  # which says how it is compressed
    assert shades(index_bag(bag, scratch)) == TEN


def test_a_compressed_file_is_read_by_itself_and_not_twice(kind, tmp_path, scratch):
    storage = storage_file(kind, write_bag(tmp_path / KINDS[kind][0], kind))
    (tmp_path / 'drive').mkdir()
    compressed = tmp_path / 'drive' / f'{storage.name}.zstd'
    compressed.write_bytes(zstandard.compress(storage.read_bytes()))
    assert shades(index_bag(compressed, scratch)) == TEN
    shutil.copy(storage, tmp_path / 'drive')
    assert shades(index_bag(tmp_path / 'drive', scratch)) == TEN


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


@pytest.mark.parametrize('compression', list(Ros1Writer.CompressionFormat))
def test_what_rosbag_compressed_is_read(compression, tmp_path, scratch):
    assert (
        shades(index_bag(write_bag(tmp_path / 'a.bag', 'ros1', fmt=compression), scratch)) == TEN
    )


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
    assert len(shades(index)) == len(index.places)
    assert 'rain.bag.active: damaged' in index.problems[0]


def foreign_mcap(path: Path, profile: str, *schemas: tuple[str, str, bytes], **options) -> Path:
    """Write an MCAP file of ten images between the messages of other topics."""
    types = get_typestore(Stores.ROS1_NOETIC if profile == 'ros1' else Stores.ROS2_HUMBLE)
    encoding = 'ros1' if profile == 'ros1' else 'cdr'
    name = COMPRESSED.replace('/msg', '') if profile == 'ros1' else COMPRESSED
    with path.open('wb') as file:
        writer = McapWriter(file, chunk_size=2000, **options)
        writer.start(profile=profile)
        channels = [
            writer.register_channel(f'/{number}', schema[1], writer.register_schema(*schema))
            for number, schema in enumerate(schemas)
        ]
        # whose definition is not needed, and here is none
        schema = writer.register_schema(name, 'ros2msg', b'%&!')
        channels.append(writer.register_channel(TOPIC, encoding, schema))
        header = types.types['std_msgs/msg/Header']
        stamp = types.types['builtin_interfaces/msg/Time'](0, 0)
        sequence = {'seq': 7} if profile == 'ros1' else {}
        for index in range(10):
            picture = cv2.imencode('.png', grey(10 * index))[1]
            image = types.types[COMPRESSED](
                header(**sequence, stamp=stamp, frame_id='camera'), 'png', picture
            )
            serialize = types.serialize_ros1 if profile == 'ros1' else types.serialize_cdr
            for channel in channels:
                data = bytes(serialize(image, COMPRESSED)) if channel == channels[-1] else b'!'
                writer.add_message(channel, index, data, index)
        writer.finish()
    return path


@pytest.mark.parametrize('profile', ['ros2', '', 'ros1', 'x-vendor'])
@pytest.mark.parametrize(
    'options',
    [
        {},
        {'use_chunking': False},
        {'compression': CompressionType.NONE},
        {'compression': CompressionType.LZ4},
        {'use_summary_offsets': False, 'repeat_schemas': False, 'repeat_channels': False},
    ],
)
def test_an_mcap_of_any_profile_and_layout_is_read(profile, options, tmp_path, scratch):
    path = foreign_mcap(tmp_path / 'a.mcap', profile, **options)
    index = index_bag(path, scratch)
    assert (shades(index), index.problems) == (TEN, [])


@pytest.mark.parametrize(
    'schema',
    [
        ('std_srvs/srv/Trigger_Event', 'ros2msg', b'string a\n---\nbool b'),
        ('foxglove.CompressedVideo', 'protobuf', b'\x0a\x07'),
        ('sensor_msgs/msg/Image', 'json', b'{}'),
        ('no package', 'ros2msg', b'\xff\xfe'),
        ('', '', b''),
    ],
)
def test_no_other_topic_costs_the_images(schema, tmp_path, scratch):
    index = index_bag(foreign_mcap(tmp_path / 'a.mcap', 'ros2', schema), scratch)
    assert (index.topics, shades(index), index.problems) == ([TOPIC], TEN, [])


def test_an_unknown_definition_in_a_database_costs_nothing(tmp_path, scratch):
    """rosbag2 writes the encoding 'unknown' where it has not found a definition."""
    bag = write_bag(tmp_path / 'rain', 'sqlite3', topics=[TOPIC, '/other'])
    with sqlite3.connect(storage_file('sqlite3', bag)) as database:
        database.execute("UPDATE message_definitions SET encoding = 'unknown'")
        database.execute("UPDATE topics SET type = 'a/b' WHERE name = '/other'")
    assert shades(index_bag(bag, scratch)) == TEN


def test_a_wrong_md5_or_definition_of_ros1_costs_nothing(tmp_path, scratch):
    bag = write_bag(tmp_path / 'rain.bag', 'ros1', topics=[TOPIC, '/other'])
    data = bag.read_bytes()
    digest = data.index(b'md5sum=') + 7
    data = data.replace(data[digest : digest + 32], b'*' * 32)
    bag.write_bytes(data.replace(b'\nstring format', b'\n!!!!!! format'))
    index = index_bag(bag, scratch)
    assert (index.topics, shades(index)) == ([TOPIC, '/other'], TEN)


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

    assert shades(index) == [*TEN, 90, 90, 90]
    assert 'with messages still in rain.db3-wal; both are read' in index.problems[0]
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == before
    assert [path.name for path in scratch.iterdir()] == ['0_rain.db3']


def test_a_part_that_is_missing_is_named(tmp_path, scratch):
    bag = write_bag(tmp_path / 'rain', 'mcap')
    text = (bag / 'metadata.yaml').read_text()
    (bag / 'metadata.yaml').write_text(
        text.replace('  - rain.mcap', '  - rain.mcap\n  - more.mcap')
    )
    index = index_bag(bag, scratch)
    assert index.problems == [f'{bag / "more.mcap"}: is missing']
    assert shades(index) == TEN


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
