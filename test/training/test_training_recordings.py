"""Stills of videos and bags, from the experiment's file to the crops, and the tool that lists."""

from pathlib import Path
import subprocess
import sys

from helpers.data import ROOT
from helpers.stills import panned, rain_before, scene, write_video
import numpy as np
import pytest

from derain_ros.errors import DataError
from training.configuration import StillRecording
from training.data import recordings
from training.data.recordings import read_stills
from training.write_bag import write_bag

TOOL = ROOT / 'training' / 'find_stills.py'


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    return tmp_path / 'cache'


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Return a video of a stop, a drive of 4 s and another stop, 20 frames a second."""
    frames = np.concatenate(
        [rain_before(scene(), 65), panned(80), rain_before(scene(5), 65, seed=2)]
    )
    return write_video(tmp_path / 'drive.mp4', frames)


def found(video: Path, **options: object) -> list[str]:
    recording = StillRecording(path=video.name, **options)
    return [still.name for still in read_stills(recording, video.parent)]


def test_a_video_is_searched_as_far_as_the_experiment_says(video: Path) -> None:
    assert found(video) == ['drive.mp4 at 0.0 s', 'drive.mp4 at 7.2 s']
    assert found(video, start=5.0) == ['drive.mp4 at 7.2 s']
    assert found(video, stop=5.0) == ['drive.mp4 at 0.0 s']


def test_what_a_person_rejects_is_left_out(video: Path) -> None:
    assert found(video, reject=[0]) == ['drive.mp4 at 7.2 s']
    with pytest.raises(DataError, match='there is no still 2'):
        found(video, reject=[2])
    with pytest.raises(DataError, match='or all such places are rejected'):
        found(video, reject=[0, 1])


@pytest.mark.parametrize('name', ['drive.bag', 'drive'])
def test_a_bag_holds_the_same_stills_as_its_video(video: Path, name: str) -> None:
    bag = video.parent / name
    write_bag(video, bag, topic='/left/compressed', rate=20.0, storage='mcap')

    assert found(bag) == [f'{name} /left/compressed at {at} s' for at in ('0.0', '7.2')]
    (still,) = read_stills(
        StillRecording(path=name, topics=['/left/compressed'], stop=5.0), video.parent
    )
    assert np.abs(still.median.astype(int) - scene()).mean() < 5  # JPEG and MPEG-4 in between
    with pytest.raises(DataError, match='no image topic /right; it has: /left/compressed'):
        found(bag, topics=['/right'])


def test_a_recording_is_searched_once_until_it_changes(
    video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = read_stills(StillRecording(path='drive.mp4'), video.parent)
    with monkeypatch.context() as patched:
        patched.setattr(recordings, 'find_stills', None)  # would be called to search again
        again = read_stills(StillRecording(path='drive.mp4'), video.parent)
    write_video(video, rain_before(scene(3), 65))

    for one, other in zip(first, again, strict=True):
        assert one.name == other.name
        for array in ('frames', 'median', 'static', 'rain_only', 'halves'):
            np.testing.assert_array_equal(getattr(one, array), getattr(other, array))
    assert found(video) == ['drive.mp4 at 0.0 s']


def test_a_search_that_was_cut_short_is_done_again(
    video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = recordings._packed
    calls: list[object] = []

    def killed_at_the_second(still: object) -> bytes:
        calls.append(still)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return packed(still)

    with monkeypatch.context() as patched:
        patched.setattr(recordings, '_packed', killed_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            found(video)

    assert len(found(video)) == 2


def test_what_cannot_be_used_is_named(tmp_path: Path, video: Path) -> None:
    with pytest.raises(DataError, match=r'gone.mp4: no such video or bag'):
        found(tmp_path / 'gone.mp4')
    with pytest.raises(DataError, match='stands still nowhere'):
        found(write_video(tmp_path / 'pan.mp4', panned(80)))


def test_the_tool_lists_and_shows_what_there_is(video: Path, tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, TOOL, video, '--show', tmp_path / 'shown'],
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 0, result.stderr
    first, second = result.stdout.splitlines()
    assert first.split()[:5] == ['0', 'drive.mp4', 'at', '0.0', 's']
    assert 'static' in first
    assert 'rain on' in second
    assert sorted(path.name for path in (tmp_path / 'shown').iterdir()) == [
        'drive-0000.jpg',
        'drive-0001.jpg',
    ]


def test_the_tool_numbers_what_the_experiment_takes(video: Path) -> None:
    result = subprocess.run(
        [sys.executable, TOOL, video, '--start', '5'], capture_output=True, text=True, check=False
    )

    assert result.returncode == 0, result.stderr
    assert result.stdout.split()[:4] == ['0', 'drive.mp4', 'at', '7.2']
    assert found(video, start=5.0) == ['drive.mp4 at 7.2 s']


def test_the_tool_says_what_is_wrong(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, TOOL, tmp_path / 'gone.mp4'], capture_output=True, text=True, check=False
    )

    assert result.returncode == 2
    assert result.stderr.startswith('error: ')
    assert 'Traceback' not in result.stderr
