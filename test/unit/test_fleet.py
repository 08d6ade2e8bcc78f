"""Many inputs on the workers of Ray, of which one is killed."""

from contextlib import suppress
import json
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys
import time

from helpers.data import ROOT
from helpers.offline import recorded, write_drive
import pytest

pytest.importorskip('ray')

PATIENCE_S = 180


@pytest.fixture(autouse=True)
def in_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('PYTHONPATH', str(ROOT))
    monkeypatch.delenv('RAY_ADDRESS', raising=False)


@pytest.fixture
def drives(tmp_path: Path) -> list[Path]:
    """Return four bags, of which two take a while."""
    folder = tmp_path / 'drives'
    folder.mkdir()
    return [
        write_drive(folder / f'{number}.bag', 'ros1', frames=frames)
        for number, frames in enumerate((600, 600, 4, 4))
    ]


def fleet(tmp_path: Path, model: Path | str, *arguments: object) -> list[str]:
    """Return the command for two workers, each with one core."""
    words = [tmp_path / 'list', tmp_path / 'out', '--model', model, '--engine', 'openvino']
    return [sys.executable, '-m', 'derain_ros.fleet', *map(str, words), *map(str, arguments)]


def result_of(tmp_path: Path, drive: Path) -> Path:
    return tmp_path / 'out' / drive.relative_to('/')


def writer_of(partial: Path) -> int:
    """Wait until a process writes there, and return its number."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        for process in filter(str.isdecimal, os.listdir('/proc')):
            with suppress(OSError):  # it has ended by now, or is another user's
                for opened in os.listdir(f'/proc/{process}/fd'):
                    if str(partial) in os.readlink(f'/proc/{process}/fd/{opened}'):
                        return int(process)
        time.sleep(0.01)
    raise AssertionError(f'nobody writes to {partial}')


def test_a_worker_that_is_killed_costs_nothing(tmp_path, drives, tiny_onnx):
    (tmp_path / 'list').write_text('\n'.join(map(str, drives)))
    command = fleet(tmp_path, tiny_onnx, '--cpus-per-worker', 0.5)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    partial = result_of(tmp_path, drives[1])
    os.kill(writer_of(partial.with_name(f'{partial.name}.partial')), signal.SIGKILL)
    said, problems = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, problems) == (0, '')
    report = json.loads((tmp_path / 'out.derain.json').read_text())
    assert (report['inputs'], report['failed'], report['frames']) == (4, 0, 2416)
    assert [result['input'] for result in report['results']] == list(map(str, drives))
    assert [result['tries'] for result in report['results']] == [1, 2, 1, 1]
    rows = [line.split()[:3] for line in said.splitlines() if line.startswith('/')]
    assert rows == [
        [str(drive), 'done', frames] for drive, frames in zip(drives, ('1200', '1200', '8', '8'))
    ]
    for drive in drives:
        old, new = list(recorded(drive)), list(recorded(result_of(tmp_path, drive)))
        assert [one._replace(data=b'') for one in old] == [one._replace(data=b'') for one in new]
        changed = {one.topic for one, other in zip(old, new) if one != other}
        assert all('image' in topic for topic in changed)
    assert not list((tmp_path / 'out').rglob('*.partial'))


def test_what_is_there_stays_and_what_fails_is_named(tmp_path, drives, tiny_onnx):
    (tmp_path / 'broken.bag').write_text('no bag')
    shutil.copytree(drives[0].parent, tmp_path / 'out' / 'drives')  # under the paths of the list
    names = ['drives/0.bag', 'drives/1.bag', 'drives/2.bag', 'broken.bag', '', 'missing.bag']
    (tmp_path / 'list').write_text('\n'.join(names))
    (tmp_path / 'out' / 'drives' / '2.bag').unlink()
    command = fleet(tmp_path, tiny_onnx, '--retries', 1, '--json', tmp_path / 'report.json')
    said = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert said.returncode == 1
    report = json.loads((tmp_path / 'report.json').read_text())
    assert [(result['state'], result['tries']) for result in report['results']] == [
        ('already there', 1),
        ('already there', 1),
        ('done', 1),
        ('failed', 2),
        ('failed', 2),
    ]
    problems = sorted(said.stderr.splitlines())
    assert len(problems) == 2
    assert f'{tmp_path}/broken.bag: not a readable bag' in problems[0]
    assert problems[1] == f'{tmp_path}/missing.bag: no such file or folder'


@pytest.mark.parametrize(
    ('listed', 'options', 'reason'),
    [
        (None, (), 'No such file'),
        ('\n', (), 'names no input'),
        ('../rain.bag', (), 'give a path without ..'),
        ('rain.bag', ('--model', 'fats'), "model 'fats'"),
        ('rain.bag', ('--gpus-per-worker', 64), 'this machine has no 1 CPUs and 64 GPUs'),
    ],
)
def test_wrong_usage_is_one_clear_line(tmp_path, listed, options, reason):
    if listed is not None:
        (tmp_path / 'list').write_text(listed)
    command = fleet(tmp_path, 'fast', *options)
    said = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    assert (said.returncode, len(said.stderr.splitlines())) == (2, 1), said.stderr
    assert reason in said.stderr
    assert not (tmp_path / 'out').exists()
