"""The command: what it writes, what it leaves alone, and how it says that something failed."""

from collections.abc import Callable
import json
import os
from pathlib import Path
import re
import signal
import subprocess
import sys
import time

from helpers.data import ROOT
from helpers.offline import recorded, scene, write_drive
import numpy as np
from PIL import Image
import pytest

from derain_ros.media.images import read_image
from derain_ros.media.videos import video_frames
from derain_ros.offline.items import find_items, have_many_sizes, shard

PATIENCE_S = 120
Command = Callable[..., subprocess.CompletedProcess]


@pytest.fixture
def derain(tiny_onnx: Path) -> Command:
    """Run the command with a tiny model."""

    def run(*arguments: object) -> subprocess.CompletedProcess:
        return subprocess.run(
            command(tiny_onnx, *arguments), capture_output=True, text=True, timeout=PATIENCE_S
        )

    return run


def command(model: Path, *arguments: object) -> list[str]:
    words = ['--engine', 'openvino', '--model', model, *arguments]
    return [sys.executable, '-m', 'derain_ros.offline', *map(str, words)]


@pytest.fixture(autouse=True)
def in_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('PYTHONPATH', str(ROOT))


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Return a folder of pictures of many sizes, in folders of their own."""
    for index in range(6):
        path = tmp_path / 'album' / f'day {index % 2}' / f'{index}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(scene(index, 40 + 3 * index, 90 - 4 * index)).save(path)
    return tmp_path / 'album'


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob('*'))
        if path.is_file()
    }


def test_one_photograph(derain, tmp_path):
    Image.fromarray(scene(0)).save(tmp_path / 'rain.png')
    said = derain(tmp_path / 'rain.png', tmp_path / 'clean.png')
    assert said.returncode == 0, said.stderr
    rainy, clean = read_image(tmp_path / 'rain.png'), read_image(tmp_path / 'clean.png')
    assert rainy.shape == clean.shape
    assert not np.array_equal(rainy, clean)
    report = json.loads((tmp_path / 'clean.png.derain.json').read_text())
    assert (report['inputs'], report['failed'], report['frames']) == (1, 0, 1)
    assert report['fates'] == {'derained': 1, 'passed_through': 0}
    assert {'model', 'engine', 'precision', 'versions', 'seconds'} <= report.keys()
    assert report['results'][0]['streams'][0]['rain'] >= 0


def test_the_output_may_be_the_folder_one_is_in(derain, album, tmp_path, monkeypatch):
    (tmp_path / 'here').mkdir()
    monkeypatch.chdir(tmp_path / 'here')
    said = derain(album / 'day 0' / '0.png', '.')
    assert said.returncode == 0, said.stderr
    assert {path.name for path in tmp_path.iterdir()} == {'album', 'here', 'here.derain.json'}
    assert tree(tmp_path / 'here').keys() == {'0.png'}


def test_a_folder_keeps_its_names_and_a_failure_is_named(derain, album, tmp_path):
    (album / 'broken.jpg').write_bytes(b'no picture')
    (album / 'notes.txt').write_text('not for us')
    write_drive(album / 'drive.bag', 'ros1', frames=3)
    said = derain(album, tmp_path / 'out')
    assert said.returncode == 1
    assert f'{album / "broken.jpg"}: not a readable image' in said.stderr
    expected = tree(album).keys() - {'broken.jpg', 'notes.txt'}
    assert tree(tmp_path / 'out').keys() == expected
    report = json.loads((tmp_path / 'out.derain.json').read_text())
    assert (report['inputs'], report['failed'], report['frames']) == (8, 1, 12)


def test_nothing_is_overwritten_unless_told(derain, album, tmp_path):
    assert derain(album, tmp_path / 'out').returncode == 0
    first = tree(tmp_path / 'out')
    said = derain(album, tmp_path / 'out')
    assert said.returncode == 2
    assert '6 of 6 outputs' in said.stderr
    assert 'go on with --resume, or replace with --overwrite' in said.stderr
    (tmp_path / 'out' / 'day 0' / '0.png').unlink()
    (tmp_path / 'out' / 'day 0' / '2.png').write_bytes(b'mine')
    assert derain(album, tmp_path / 'out', '--resume').returncode == 0
    assert tree(tmp_path / 'out') == first | {'day 0/2.png': b'mine'}
    assert derain(album, tmp_path / 'out', '--overwrite').returncode == 0
    assert tree(tmp_path / 'out') == first


def test_a_dry_run_writes_nothing(derain, album, tmp_path):
    said = derain(album, tmp_path / 'out', '--dry-run')
    assert said.returncode == 0
    assert said.stdout.count('would be written') == 6
    assert [path.name for path in tmp_path.iterdir()] == ['album']


@pytest.mark.parametrize(
    ('source', 'target', 'reason'),
    [
        ('missing', 'out', 'no such file'),
        ('album', 'album', 'is the input itself'),
        ('album', 'album/out', 'lies in the input'),
        ('a.png', 'a.png', 'is the input itself'),
        ('a.png', '.', 'is the input itself'),
        ('a.png', 'a.mp4', 'can be written as'),
        ('rain.bag', 'rain.mcap', 'can be written as .bag'),
        ('a.txt', 'out', 'neither image, video nor bag'),
        ('empty', 'out', 'holds no image, video or bag'),
    ],
)
def test_wrong_usage_is_one_clear_line(source, target, reason, derain, album, tmp_path):
    Image.fromarray(scene(0)).save(tmp_path / 'a.png')
    for name in ('a.txt', 'rain.bag'):
        (tmp_path / name).write_text('text')
    (tmp_path / 'empty').mkdir()
    before = tree(tmp_path)
    said = derain(tmp_path / source, tmp_path / target)
    assert (said.returncode, len(said.stderr.splitlines())) == (2, 1), said.stderr
    assert reason in said.stderr
    assert tree(tmp_path) == before


def test_a_page_shows_frames_and_the_rain_of_each_camera(derain, tmp_path):
    write_drive(tmp_path / '<drive>.bag', 'ros1', frames=5)
    said = derain(tmp_path / '<drive>.bag', tmp_path / 'out.bag', '--report', tmp_path / 'page')
    assert said.returncode == 0, said.stderr
    page = (tmp_path / 'page' / 'index.html').read_text()
    assert '&lt;drive&gt;' in page
    assert '<drive>' not in page
    assert page.count('<polyline') == 2  # one for each camera
    for topic in ('/front/image_raw', '/rear/image_raw/compressed'):
        assert f'<figcaption>&lt;drive&gt;.bag {topic}</figcaption>' in page
    images = re.findall('<img src="(.+?)"', page)
    assert len(images) == 4
    for name in images:
        assert read_image(tmp_path / 'page' / name).shape == (48, 64, 3)
    clips = re.findall('<video src="(.+?)"', page)
    assert len(clips) == 2
    for name in clips:
        assert [frame.shape for frame in video_frames(tmp_path / 'page' / name)] == [
            (48, 128, 3)
        ] * 4  # the first frame is an image of its own
    assert '://' not in page  # it is opened without a network


def test_images_of_many_sizes_are_told_from_those_of_few(album, tmp_path):
    (album / 'broken.png').write_bytes(b'no picture')
    items = find_items(album, tmp_path / 'out')
    assert have_many_sizes(items)
    few = [item for item in items if item.source.stem in '012']
    assert not have_many_sizes(few * 10)


def test_shards_are_together_everything(album, tmp_path):
    items = find_items(album, tmp_path / 'out')
    shards = [shard(items, f'{number}/3') for number in range(3)]
    assert sorted(item.source for part in shards for item in part) == [
        item.source for item in items
    ]
    assert all(shards)


@pytest.mark.parametrize('kind', ['ros1', 'sqlite3', 'mcap'])
def test_a_run_that_is_killed_is_resumed(kind, tmp_path, derain, tiny_onnx):
    """Whatever the moment, each result is whole or not there."""
    suffix = '.bag' if kind == 'ros1' else ''
    (tmp_path / 'drives').mkdir()
    for number in range(2):
        write_drive(tmp_path / 'drives' / f'{number}{suffix}', kind, frames=400)
    out = tmp_path / 'out'
    process = subprocess.Popen(
        command(tiny_onnx, tmp_path / 'drives', out), stderr=subprocess.DEVNULL
    )
    # within the second one
    wait(lambda: (out / f'1{suffix}.partial').exists(), process)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert {path.name for path in out.iterdir()} == {f'0{suffix}', f'1{suffix}.partial'}
    first = (out / f'0{suffix}').stat().st_mtime_ns
    said = derain(tmp_path / 'drives', out, '--resume')
    assert said.returncode == 0, said.stderr
    assert {path.name for path in out.iterdir()} == {f'0{suffix}', f'1{suffix}'}
    assert (out / f'0{suffix}').stat().st_mtime_ns == first
    old = list(recorded(tmp_path / 'drives' / f'1{suffix}'))
    new = list(recorded(out / f'1{suffix}'))
    assert [one._replace(data=b'') for one in old] == [one._replace(data=b'') for one in new]
    others = [(one, other) for one, other in zip(old, new) if 'image' not in one.topic]
    assert len(others) == 1200
    assert all(one == other for one, other in others)


def wait(condition: Callable[[], bool], process: subprocess.Popen) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        assert process.poll() is None
        time.sleep(0.005)
