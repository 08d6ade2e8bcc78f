"""Whatever else lies in a recording costs no image."""

from pathlib import Path
import sqlite3

import cv2
from helpers.bags import bag_shades, COMPRESSED, grey, storage_file, TOPIC, write_bag
from mcap.reader import make_reader
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter
import pytest
from rosbags.typesys import get_typestore, Stores

from derain_ros.media.bags import index_bag

TEN = [10 * index for index in range(10)]


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    (tmp_path / 'scratch').mkdir()
    return tmp_path / 'scratch'


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
    assert (bag_shades(index), index.problems) == (TEN, [])


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
    assert (index.topics, bag_shades(index), index.problems) == ([TOPIC], TEN, [])


def test_an_unknown_definition_in_a_database_costs_nothing(tmp_path, scratch):
    """rosbag2 writes the encoding 'unknown' where it has not found a definition."""
    bag = write_bag(tmp_path / 'rain', 'sqlite3', topics=[TOPIC, '/other'])
    with sqlite3.connect(storage_file('sqlite3', bag)) as database:
        database.execute("UPDATE message_definitions SET encoding = 'unknown'")
        database.execute("UPDATE topics SET type = 'a/b' WHERE name = '/other'")
    assert bag_shades(index_bag(bag, scratch)) == TEN


def test_a_wrong_md5_or_definition_of_ros1_costs_nothing(tmp_path, scratch):
    bag = write_bag(tmp_path / 'rain.bag', 'ros1', topics=[TOPIC, '/other'])
    data = bag.read_bytes()
    digest = data.index(b'md5sum=') + 7
    data = data.replace(data[digest : digest + 32], b'*' * 32)
    bag.write_bytes(data.replace(b'\nstring format', b'\n!!!!!! format'))
    index = index_bag(bag, scratch)
    assert (index.topics, bag_shades(index)) == ([TOPIC, '/other'], TEN)


def test_a_stamp_beyond_all_time_costs_no_image(tmp_path, scratch):
    path = foreign_mcap(tmp_path / 'rain.mcap', 'ros2')
    with path.open('rb') as source, (tmp_path / 'late.mcap').open('wb') as target:
        writer = McapWriter(target)
        writer.start(profile='ros2')
        for number, (schema, about, message) in enumerate(make_reader(source).iter_messages()):
            if number == 0:
                definition = writer.register_schema(schema.name, schema.encoding, schema.data)
                channel = writer.register_channel(TOPIC, about.message_encoding, definition)
            # as a recorder writes it that knows no stamp
            stamp_ns = 2**64 - 1 if number == 3 else number
            writer.add_message(channel, stamp_ns, message.data, 0)
        writer.finish()
    index = index_bag(tmp_path / 'late.mcap', scratch)
    assert sorted(bag_shades(index)) == TEN
    assert index.problems == []
