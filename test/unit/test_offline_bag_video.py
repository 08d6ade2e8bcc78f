"""De-raining of video in messages: every picture, in a packet in its old place."""

from pathlib import Path

import av
from helpers.bags import KINDS
from helpers.offline import darker, Recorded, recorded
from helpers.video_messages import (
    FRAMES,
    KEY_EVERY,
    OLDER_PACKET,
    PACKET,
    packets,
    pictures,
    read_message,
    TOPIC,
    VIDEO,
    write_video_drive,
)
import numpy as np
import pytest

from derain_ros.errors import DataError
from derain_ros.media.videos import samples
from derain_ros.offline.bags import derain_bag
from derain_ros.offline.job import Job
from derain_ros.offline.report import Outcome
from derain_ros.stream.fates import Fate

JOB = Job(darker)
MESSAGES = [(PACKET, 'h264'), (PACKET, 'h265'), (VIDEO, 'h264'), (VIDEO, 'h265')]


def video_of(path: Path) -> list[Recorded]:
    return [one for one in recorded(path) if one.topic == TOPIC]


def check_derained(before: list[av.VideoFrame | None], after: list[av.VideoFrame | None]) -> None:
    """Compare frame by frame: they are darker by five, but for the loss of the codec."""
    assert len(before) == len(after) > 0
    for one, other in zip(before, after):
        assert one is not None
        assert other is not None
        assert other.colorspace == one.colorspace
        rainy, derained = samples(one, 'rgb'), samples(other, 'rgb').astype(int)
        assert np.abs(darker(rainy) - derained).mean() < 4
        assert abs(rainy.mean() - derained.mean() - 5) < 0.5  # no drift of colours


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize(('message', 'codec'), MESSAGES)
def test_every_picture_is_derained_and_encoded_again(kind, message, codec, tmp_path):
    bag = write_video_drive(tmp_path / KINDS[kind][0], kind, message, codec)
    target = tmp_path / f'out{bag.suffix}'
    outcome = derain_bag(bag, target, JOB)
    assert outcome.problems == []
    assert outcome.streams[0].fates == {Fate.DERAINED: FRAMES}
    for one, other in zip(recorded(bag), recorded(target)):
        is_video = one.topic == TOPIC
        assert one == (other._replace(data=one.data) if is_video else other)
    old, new = ([read_message(kind, one) for one in video_of(path)] for path in (bag, target))
    for one, other in zip(old, new):
        for name in one.__dataclass_fields__:  # header, stamps, flags, and whatever else there is
            assert name == 'data' or getattr(one, name) == getattr(other, name)
    check_derained(*(pictures(codec, [one.data for one in each]) for each in (old, new)))
    # whoever comes in at a key frame sees all from there on
    later = pictures(codec, [one.data for one in new[KEY_EVERY:]])
    assert None not in later


@pytest.mark.parametrize(
    ('layout', 'size'),
    [('yuv444p', (47, 65)), ('yuv422p', (48, 64)), ('gray', (48, 64)), ('yuv420p10le', (48, 64))],
)
def test_pictures_of_any_layout_are_derained(layout, size, tmp_path):
    bag = write_video_drive(tmp_path / 'rain', 'mcap', data=packets('h264', layout, size))
    assert derain_bag(bag, tmp_path / 'out', JOB).problems == []
    check_derained(
        *(
            pictures('h264', [read_message('mcap', one).data for one in video_of(path)])
            for path in (bag, tmp_path / 'out')
        )
    )


def test_packets_of_the_older_ros1_definition(tmp_path):
    bag = write_video_drive(tmp_path / 'rain.bag', 'ros1', fields=OLDER_PACKET)
    outcome = derain_bag(bag, tmp_path / 'out.bag', JOB)
    assert outcome.problems == []
    both = [
        [read_message('ros1', one, OLDER_PACKET) for one in video_of(path)]
        for path in (bag, tmp_path / 'out.bag')
    ]
    assert [one.img_width for one in both[1]] == [64] * FRAMES
    check_derained(*(pictures('h264', [one.data for one in each]) for each in both))


@pytest.mark.parametrize('codec', ['h264', 'h265'])
def test_packets_before_the_first_key_frame_stay_and_are_counted(codec, tmp_path):
    bag = write_video_drive(tmp_path / 'rain', 'mcap', VIDEO, codec, packets(codec)[3:])
    outcome = derain_bag(bag, tmp_path / 'out', JOB)
    lost = KEY_EVERY - 3
    assert (
        f'{lost} of {FRAMES - 3} frames are left as they were: no picture' in (outcome.problems[0])
    )
    old, new = video_of(bag), video_of(tmp_path / 'out')
    assert old[:lost] == new[:lost]
    both = [
        pictures(codec, [read_message('mcap', one).data for one in each]) for each in (old, new)
    ]
    check_derained(*(each[lost:] for each in both))


@pytest.mark.parametrize('codec', ['h264', 'h265'])
def test_a_damaged_packet_costs_no_more_than_before(codec, tmp_path):
    data = packets(codec)
    damaged = av.Packet(bytes(data[3])[:6] + b'damage' * 4)
    bag = write_video_drive(
        tmp_path / 'rain', 'mcap', VIDEO, codec, [*data[:3], damaged, *data[4:]]
    )
    outcome = derain_bag(bag, tmp_path / 'out', JOB)
    old, new = (
        pictures(codec, [read_message('mcap', one).data for one in video_of(path)])
        for path in (bag, tmp_path / 'out')
    )
    there = [index for index, picture in enumerate(old) if picture is not None]
    assert 3 not in there
    assert there[-FRAMES + KEY_EVERY :] == [*range(KEY_EVERY, FRAMES)]
    assert outcome.streams[0].fates == {
        Fate.DERAINED: len(there),
        Fate.PASSED_THROUGH: FRAMES - len(there),
    }
    check_derained([old[index] for index in there], [new[index] for index in there])


def test_a_picture_that_cannot_be_derained_is_encoded_as_it_is(tmp_path):
    frames = iter(range(FRAMES))

    def black_in_the_middle(frame: np.ndarray) -> np.ndarray:
        return np.zeros_like(frame) if next(frames) == 9 else darker(frame)

    bag = write_video_drive(tmp_path / 'rain', 'mcap')
    outcome = derain_bag(bag, tmp_path / 'out', Job(black_in_the_middle))
    assert (
        '1 of 20 frames are left as they were: its result is not plausible'
        in (outcome.problems[0])
    )
    old, new = (
        pictures('h264', [read_message('mcap', one).data for one in video_of(path)])
        for path in (bag, tmp_path / 'out')
    )
    assert np.abs(samples(old[9], 'rgb') - samples(new[9], 'rgb').astype(int)).mean() < 4
    check_derained(old[:9] + old[10:], new[:9] + new[10:])


def test_a_split_recording_goes_on_in_its_next_file(tmp_path):
    """Its second file begins between key frames, as recorders cut it."""
    from mcap.reader import make_reader
    from mcap.writer import Writer

    whole = write_video_drive(tmp_path / 'whole', 'mcap', VIDEO) / 'whole.mcap'
    rain = tmp_path / 'rain'
    rain.mkdir()
    for number, part in enumerate((range(10), range(10, FRAMES))):
        with whole.open('rb') as source, (rain / f'rain_{number}.mcap').open('wb') as target:
            writer = Writer(target)
            writer.start('ros2')
            numbers: dict[int, int] = {}
            for schema, channel, message in make_reader(source).iter_messages():
                if (message.log_time - 10**9) // 10**8 not in part:
                    continue
                if channel.id not in numbers:
                    described = writer.register_schema(schema.name, schema.encoding, schema.data)
                    numbers[channel.id] = writer.register_channel(channel.topic, 'cdr', described)
                times = message.log_time, message.data, message.publish_time
                writer.add_message(numbers[channel.id], *times)
            writer.finish()
    outcome = derain_bag(rain, tmp_path / 'out', JOB)
    assert (outcome.problems, outcome.frames) == ([], FRAMES)
    both = []
    for folder in (rain, tmp_path / 'out'):
        found = [one for file in sorted(folder.iterdir()) for one in video_of(file)]
        both.append(pictures('h264', [read_message('mcap', one).data for one in found]))
    check_derained(*both)
    np.testing.assert_allclose(outcome.streams[0].times_s, np.arange(FRAMES) / 10)


def test_b_frames_are_one_clear_line(tmp_path):
    data = packets('h264', tune='psnr', bf='2', b_strategy='0')
    bag = write_video_drive(tmp_path / 'rain', 'mcap', data=data)
    with pytest.raises(DataError, match=f'{TOPIC} has B-frames.*leave it out with --topics'):
        derain_bag(bag, tmp_path / 'out', JOB)
    assert [path.name for path in tmp_path.iterdir()] == ['rain']


def test_other_codecs_stay_and_are_named(tmp_path):
    bag = write_video_drive(tmp_path / 'rain', 'sqlite3', VIDEO, codec='av1', data=packets('h264'))
    outcome = derain_bag(bag, tmp_path / 'out', JOB)
    assert outcome.problems == [
        f"{bag}: {TOPIC}: 20 of 20 frames are left as they were: its codec is 'av1'; of video in "
        'messages, H.264 and HEVC are read'
    ]
    assert list(recorded(bag)) == list(recorded(tmp_path / 'out'))


def test_derained_video_may_stand_beside_the_original(tmp_path):
    bag = write_video_drive(tmp_path / 'rain.bag', 'ros1')
    outcome = derain_bag(bag, tmp_path / 'out.bag', Job(darker, beside=True))
    assert isinstance(outcome, Outcome)
    new = list(recorded(tmp_path / 'out.bag'))
    beside = [one for one in new if one.topic == '/front/image_derained/ffmpeg']
    assert [one for one in new if one not in beside] == list(recorded(bag))
    check_derained(
        *(
            pictures('h264', [read_message('ros1', one).data for one in each])
            for each in (video_of(bag), beside)
        )
    )
