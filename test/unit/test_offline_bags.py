"""De-raining of recordings: every image, and nothing else is touched."""

from contextlib import closing
from pathlib import Path
import shutil
import sqlite3

from helpers.bags import KINDS, rechunked, storage_file
from helpers.offline import (
    COMPRESSED,
    darker,
    images_of,
    JPEG_TOPIC,
    pixels,
    RAW_TOPIC,
    recorded,
    write_drive,
)
from mcap.reader import make_reader
import numpy as np
import pytest
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag2 import CompressionFormat, CompressionMode, Writer
from rosbags.typesys import get_typestore, Stores
import yaml

from derain_ros.errors import DataError
from derain_ros.media.bags import index_bag
from derain_ros.offline.bags import derain_bag
from derain_ros.offline.job import Job

JOB = Job(darker)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


def check_derained(kind: str, before: Path, after: Path) -> None:
    """Compare message by message: images are darker, everything else is the same."""
    old, new = list(recorded(before)), list(recorded(after))
    assert len(new) == len(old) > 0
    for one, other in zip(old, new):
        if one.topic in (RAW_TOPIC, JPEG_TOPIC):
            assert one._replace(data=b'') == other._replace(data=b'')
            expected, found = darker(pixels(kind, one)), pixels(kind, other)
            assert np.abs(expected.astype(int) - found).mean() < 2  # JPEG is not exact
        else:
            assert one == other
    for one, other in zip(images_of(old, RAW_TOPIC), images_of(new, RAW_TOPIC)):
        np.testing.assert_array_equal(darker(pixels(kind, one)), pixels(kind, other))
        # whatever lies before the samples, the header too, is as it was
        samples = pixels(kind, one).size
        assert one.data[:-samples] == other.data[:-samples]


def test_images_are_derained_and_the_rest_is_as_it_was(kind, tmp_path):
    bag = write_drive(tmp_path / KINDS[kind][0], kind)
    target = tmp_path / 'out' / bag.name
    target.parent.mkdir()
    outcome = derain_bag(bag, target, JOB)
    check_derained(kind, bag, target)
    assert [(stream.name, stream.frames) for stream in outcome.streams] == [
        (RAW_TOPIC, 12),
        (JPEG_TOPIC, 12),
    ]
    assert (outcome.problems, [path.name for path in target.parent.iterdir()]) == ([], [bag.name])
    if bag.is_dir():
        assert (bag / 'metadata.yaml').read_bytes() == (target / 'metadata.yaml').read_bytes()


def test_chunks_of_mcap_stay_compressed(tmp_path):
    bag = write_drive(tmp_path / 'rain', 'mcap')
    rechunked(storage_file('mcap', bag))
    derain_bag(bag, tmp_path / 'out', JOB)
    check_derained('mcap', bag, tmp_path / 'out')
    assert len(index_bag(tmp_path / 'out', tmp_path).places) == 24


@pytest.mark.parametrize('compression', list(Ros1Writer.CompressionFormat))
def test_chunks_of_ros1_stay_compressed(compression, tmp_path):
    bag = write_drive(tmp_path / 'rain.bag', 'ros1', fmt=compression)
    derain_bag(bag, tmp_path / 'out.bag', JOB)
    check_derained('ros1', bag, tmp_path / 'out.bag')
    assert (
        f'compression={compression.name.lower()}'.encode() in (tmp_path / 'out.bag').read_bytes()
    )


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.parametrize('mode', [CompressionMode.FILE, CompressionMode.MESSAGE])
def test_what_rosbag2_compressed_stays_compressed(storage, mode, tmp_path):
    options = {'mode': mode, 'fmt': CompressionFormat.ZSTD}
    bag = write_drive(tmp_path / 'rain', storage, **options)
    derain_bag(bag, tmp_path / 'out', JOB)
    check_derained(storage, bag, tmp_path / 'out')
    names = [{file.name for file in folder.iterdir()} for folder in (bag, tmp_path / 'out')]
    assert names[0] == names[1]


def test_a_split_recording_keeps_its_files(tmp_path):
    bag = write_drive(tmp_path / 'rain', 'sqlite3')
    metadata = yaml.safe_load((bag / 'metadata.yaml').read_text())
    about = metadata['rosbag2_bagfile_information']
    shutil.copy(bag / 'rain.db3', bag / 'rain_1.db3')
    about['relative_file_paths'].append('rain_1.db3')
    (bag / 'metadata.yaml').write_text(yaml.safe_dump(metadata))
    outcome = derain_bag(bag, tmp_path / 'out', JOB)
    assert outcome.frames == 48
    check_derained('sqlite3', bag, tmp_path / 'out')


def test_derained_topics_may_stand_beside_the_originals(kind, tmp_path):
    bag = write_drive(tmp_path / KINDS[kind][0], kind)
    target = tmp_path / f'out{bag.suffix}'
    derain_bag(bag, target, Job(darker, beside=True))
    old, new = list(recorded(bag)), list(recorded(target))
    beside = {
        RAW_TOPIC: '/front/image_derained',
        JPEG_TOPIC: '/rear/image_derained/compressed',
    }
    assert [message for message in new if message.topic not in beside.values()] == old
    for topic, name in beside.items():
        originals, results = images_of(old, topic), images_of(new, name)
        assert len(originals) == len(results) == 12
        for one, other in zip(originals, results):
            assert (one.kind, one.stamp_ns, one.about) == (other.kind, other.stamp_ns, other.about)
            found = pixels(kind, other)
            assert np.abs(darker(pixels(kind, one)).astype(int) - found).mean() < 2


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_what_rosbag2_says_of_a_recording_names_the_topics_beside(storage, tmp_path):
    """In its file and in the copy that each storage keeps of it."""
    bag, out = write_drive(tmp_path / 'rain', storage), tmp_path / 'out'
    derain_bag(bag, out, Job(darker, topics=(RAW_TOPIC,), beside=True))
    if storage == 'mcap':
        with (out / 'rain.mcap').open('rb') as file:
            (inside,) = make_reader(file).iter_metadata()
        text = inside.metadata['serialized_metadata']
    else:
        with closing(sqlite3.connect(out / 'rain.db3')) as database:
            ((text,),) = database.execute('SELECT metadata FROM metadata').fetchall()
    for about in (text, (out / 'metadata.yaml').read_text()):
        about = yaml.safe_load(about)
        about = about.get('rosbag2_bagfile_information', about)
        counts = {
            each['topic_metadata']['name']: each['message_count']
            for each in about['topics_with_message_count']
        }
        assert counts['/front/image_derained'] == counts[RAW_TOPIC] == 12
        assert about['message_count'] == sum(counts.values()) == 72
        assert [file['message_count'] for file in about['files']] == [72]


def test_topics_that_would_stand_in_one_place_are_refused(tmp_path):
    bag = write_drive(tmp_path / 'rain', 'mcap')
    derain_bag(bag, tmp_path / 'once', Job(darker, beside=True))
    with pytest.raises(DataError, match='image_derained'):
        derain_bag(tmp_path / 'once', tmp_path / 'twice', Job(darker, beside=True))
    assert not (tmp_path / 'twice').exists()


def test_topics_are_chosen(kind, tmp_path):
    bag = write_drive(tmp_path / KINDS[kind][0], kind)
    target = tmp_path / f'out{bag.suffix}'
    derain_bag(bag, target, Job(darker, topics=(RAW_TOPIC,)))
    old, new = list(recorded(bag)), list(recorded(target))
    changed = {one.topic for one, other in zip(old, new) if one != other}
    assert changed == {RAW_TOPIC}
    with pytest.raises(DataError, match='has no image topic /left; it has: /front'):
        derain_bag(bag, tmp_path / f'no{bag.suffix}', Job(darker, topics=('/left',)))


def test_images_that_cannot_be_derained_stay_and_are_named(kind, tmp_path):
    bag = write_drive(tmp_path / KINDS[kind][0], kind)
    frames = iter(range(24))

    def black_from_the_20th(frame: np.ndarray) -> np.ndarray:
        return darker(frame) if next(frames) < 20 else np.zeros_like(frame)

    target = tmp_path / f'out{bag.suffix}'
    outcome = derain_bag(bag, target, Job(black_from_the_20th))
    assert len(outcome.problems) == 2
    assert (
        '2 of 12 frames are left as they were: its result is not plausible'
        in (outcome.problems[0])
    )
    unchanged = [one.topic for one, other in zip(recorded(bag), recorded(target)) if one == other]
    assert (unchanged.count(RAW_TOPIC), unchanged.count(JPEG_TOPIC)) == (2, 2)


def test_a_damaged_message_stays_and_is_counted(tmp_path):
    with Writer(tmp_path / 'rain', version=9) as bag:
        store = get_typestore(Stores.ROS2_HUMBLE)
        bag.write(bag.add_connection('/camera', COMPRESSED, typestore=store), 1, b'no image')
    outcome = derain_bag(tmp_path / 'rain', tmp_path / 'out', JOB)
    assert (
        '/camera: 1 of 1 frames are left as they were: its message is damaged'
        in (outcome.problems[0])
    )
    with closing(sqlite3.connect(tmp_path / 'out' / 'rain.db3')) as database:
        rows = database.execute('SELECT data FROM messages ORDER BY id').fetchall()
    assert rows == [(b'no image',)]


def test_damage_is_one_clear_line_and_leaves_nothing(kind, tmp_path):
    bag = write_drive(tmp_path / KINDS[kind][0], kind)
    file = storage_file(kind, bag)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(DataError, match=f'{bag.name}.*(damaged|missing|not closed)'):
        derain_bag(bag, tmp_path / f'out{bag.suffix}', JOB)
    assert {path.name for path in tmp_path.iterdir()} == {bag.name}
