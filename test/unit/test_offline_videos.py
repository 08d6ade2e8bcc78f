"""De-raining of videos: every frame at its own time, and sound as it is."""

from fractions import Fraction
from pathlib import Path
import re

import av
import cv2
from helpers.offline import darker, scene
import numpy as np
import pytest

from derain_ros import DataError, Derainer
from derain_ros.media.videos import video_frames
from derain_ros.offline.job import Job
from derain_ros.offline.videos import derain_video

JOB = Job(darker)
GAPS_MS = [20, 50, 30, 90, 40]


def write_video(path: Path, frames: int = 25, size: tuple[int, int] = (48, 64)) -> Path:
    """Write H.264 of a variable rate, with sound."""
    tick = Fraction(1, 1000)
    with av.open(str(path), 'w') as output:
        video = output.add_stream('libx264', rate=25)
        height, width = size
        video.width, video.height = width, height
        video.pix_fmt = 'yuv444p' if width % 2 or height % 2 else 'yuv420p'
        video.codec_context.time_base = video.time_base = tick
        video.options = {'g': '5'}
        sound = output.add_stream('aac', rate=44100)
        time_ms = 0
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(scene(index, height, width), format='rgb24')
            frame.pts, frame.time_base = time_ms, tick
            time_ms += GAPS_MS[index % len(GAPS_MS)]
            output.mux(video.encode(frame))
        rng = np.random.default_rng(0)
        for index in range(time_ms * 44 // 1024):
            noise = rng.normal(0, 0.1, (1, 1024)).astype(np.float32)
            samples = av.AudioFrame.from_ndarray(noise, format='fltp', layout='mono')
            samples.pts, samples.rate = 1024 * index, 44100
            output.mux(sound.encode(samples))
        output.mux(video.encode(None))
        output.mux(sound.encode(None))
    return path


def times(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [round(frame.time, 3) for frame in container.decode(video=0)]


def sound(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


@pytest.mark.parametrize('suffix', ['.mp4', '.mov', '.mkv'])
def test_frames_keep_their_times_and_sound_is_copied(suffix, tmp_path):
    source = write_video(tmp_path / 'rain.mp4')
    target = tmp_path / f'out{suffix}'
    outcome = derain_video(source, target, JOB)
    assert (outcome.problems, outcome.frames) == ([], 25)
    start = times(target)[0]  # Matroska begins with what comes before the sound
    assert [round(time - start, 3) for time in times(target)] == times(source)
    assert len(set(np.diff(times(source)).round(3))) > 2
    assert sound(target) == sound(source) != []
    for before, after in zip(video_frames(source), video_frames(target)):
        assert np.abs(darker(before).astype(int) - after).mean() < 5
        assert abs(before.mean() - after.mean() - 5) < 0.5  # no drift of colours


@pytest.mark.parametrize(
    ('codec', 'suffix'), [('MJPG', '.avi'), ('XVID', '.avi'), ('mp4v', '.mp4')]
)
def test_older_codecs_are_read_and_written(codec, suffix, tmp_path):
    writer = cv2.VideoWriter(
        str(tmp_path / f'rain{suffix}'), cv2.VideoWriter_fourcc(*codec), 10.0, (64, 48)
    )
    for index in range(12):
        writer.write(scene(index))
    writer.release()
    outcome = derain_video(tmp_path / f'rain{suffix}', tmp_path / f'out{suffix}', JOB)
    assert (outcome.problems, outcome.frames) == ([], 12)
    np.testing.assert_allclose(np.diff(times(tmp_path / f'out{suffix}')), 0.1, atol=0.002)
    for before, after in zip(
        video_frames(tmp_path / f'rain{suffix}'), video_frames(tmp_path / f'out{suffix}')
    ):
        assert np.abs(darker(before).astype(int) - after).mean() < 6


@pytest.mark.parametrize('size', [(48, 64), (47, 65)])
def test_colours_of_motion_jpeg_do_not_drift(size, tmp_path):
    with av.open(str(tmp_path / 'rain.avi'), 'w') as output:
        video = output.add_stream('mjpeg', rate=10, options={'qmin': '1', 'qmax': '2'})
        video.height, video.width = size
        video.pix_fmt = 'yuvj444p'
        for index in range(12):
            frame = av.VideoFrame.from_ndarray(scene(index, *size), format='rgb24')
            output.mux(video.encode(frame.reformat(format='yuvj444p')))
        output.mux(video.encode(None))
    derain_video(tmp_path / 'rain.avi', tmp_path / 'out.avi', JOB)
    before, after = (
        np.stack(list(video_frames(tmp_path / name))) for name in ('rain.avi', 'out.avi')
    )
    assert before.shape == after.shape == (12, *size, 3)
    drift = before.mean(axis=(0, 1, 2)) - after.mean(axis=(0, 1, 2)) - 5
    assert np.abs(drift).max() < 0.5


def test_a_size_that_is_odd_is_kept(tmp_path):
    source = write_video(tmp_path / 'rain.mp4', size=(47, 65))
    derain_video(source, tmp_path / 'out.mp4', JOB)
    assert next(video_frames(tmp_path / 'out.mp4')).shape == (47, 65, 3)


@pytest.mark.parametrize('quarters', [1, 2, 3])
def test_a_turned_video_comes_out_upright_once(quarters, tmp_path):
    source = turned(write_video(tmp_path / 'rain.mp4'), quarters)
    derain_video(source, tmp_path / 'out.mp4', JOB)
    before, after = next(video_frames(source)), next(video_frames(tmp_path / 'out.mp4'))
    assert before.shape == ((64, 48, 3) if quarters % 2 else (48, 64, 3))
    assert np.abs(darker(before).astype(int) - after).mean() < 5
    with av.open(str(tmp_path / 'out.mp4')) as container:
        assert next(container.decode(video=0)).rotation == 0


def turned(video: Path, quarters: int) -> Path:
    """Let a video say that it is to be turned, by the matrix in its header of the track."""
    data = bytearray(video.read_bytes())
    place = data.index(b'tkhd') + 4 + 40
    one, minus = (1 << 16).to_bytes(4, 'big'), (-1 << 16).to_bytes(4, 'big', signed=True)
    none = bytes(4)
    matrix = {
        1: [none, one, none, minus, none, none],
        2: [minus, none, none, none, minus, none],
        3: [none, minus, none, one, none, none],
    }[quarters]
    data[place : place + 24] = b''.join(matrix)
    video.write_bytes(data)
    return video


def test_damage_is_said_with_the_number_of_frames(tmp_path):
    whole = derain_video(write_video(tmp_path / 'rain.mp4'), tmp_path / 'whole.mkv', JOB)
    assert whole.problems == []
    data = (tmp_path / 'whole.mkv').read_bytes()
    (tmp_path / 'cut.mkv').write_bytes(data[: len(data) * 6 // 10])
    outcome = derain_video(tmp_path / 'cut.mkv', tmp_path / 'out.mkv', JOB)
    assert len(outcome.problems) == 1
    # how many is an estimate: Matroska says how long it is, and the rate varies
    assert re.search(r'damaged, [1-9]\d? of \d\d frames are missing', outcome.problems[0])
    assert 5 < len(times(tmp_path / 'out.mkv')) == outcome.frames < 25


def test_frames_that_are_too_small_are_one_clear_line(tmp_path, tiny_onnx):
    source = write_video(tmp_path / 'rain.mp4', size=(14, 64))
    reason = r'25 of 25 frames are left as they were.*too small'
    with (
        Derainer(str(tiny_onnx), engine='openvino') as derain,
        pytest.raises(DataError, match=reason),
    ):
        derain_video(source, tmp_path / 'out.mp4', Job(derain))
    assert [path.name for path in tmp_path.iterdir()] == ['rain.mp4']


def test_what_is_no_video_leaves_nothing(tmp_path):
    source = write_video(tmp_path / 'rain.mp4')
    source.write_bytes(source.read_bytes()[:-2000])  # the header of MP4 lies at the end
    with pytest.raises(DataError, match='not a video that can be read'):
        derain_video(source, tmp_path / 'out.mp4', JOB)
    assert [path.name for path in tmp_path.iterdir()] == ['rain.mp4']
