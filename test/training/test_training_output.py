"""The --out of a run: what is wrong with it is said before the data is read."""

import os
from pathlib import Path
import re
import subprocess
import sys

from helpers.data import ROOT
from helpers.disk import small_disk
from helpers.training import experiment
import pytest

from training.configuration import Config, read_config
from training.errors import RunError
from training.loop import output
from training.loop.output import check_room, claimed
import training.train as training
from training.train import train

pytestmark = pytest.mark.usefixtures('one_thread')


@pytest.fixture
def no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that must not be read."""

    def read(*_: object) -> None:
        raise AssertionError('the data was read')

    monkeypatch.setattr(training, 'read_data', read)
    return tmp_path / 'nowhere'


def test_a_folder_that_cannot_be_written_to_is_named(
    config: Config, no_data: Path, tmp_path: Path
) -> None:
    (tmp_path / 'file').touch()

    for out in (tmp_path / 'file', tmp_path / 'file' / 'out'):
        with pytest.raises(RunError, match=rf'{out}: cannot be written to .*another --out'):
            train(config, no_data, out, resume=False)


@pytest.mark.skipif(os.geteuid() == 0, reason='root may write everywhere')
def test_a_read_only_folder_is_named(config: Config, no_data: Path, tmp_path: Path) -> None:
    out = tmp_path / 'out'
    out.mkdir(mode=0o500)

    with pytest.raises(RunError, match=r'out: cannot be written to .*another --out'):
        train(config, no_data, out, resume=False)


def test_a_disk_without_room_for_a_checkpoint_is_named(
    config: Config, no_data: Path, tmp_path: Path
) -> None:
    with small_disk(), pytest.raises(RunError) as raised:
        train(config, no_data, tmp_path / 'out', resume=False)

    assert re.search(r'out: has no room for the 2\d\.\d MB of a run', str(raised.value))
    assert not (tmp_path / 'out').exists()


def test_as_much_room_is_asked_for_as_a_run_takes(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(training, 'check_room', lambda out, size_bytes: asked.append(size_bytes))
    config = read_config(experiment(tmp_path, optimizer='adam'))
    train(config, data, tmp_path / 'out', resume=False)

    sizes = {file.name: file.stat().st_size for file in (tmp_path / 'out').iterdir()}
    of_files = sum(sizes[f'{name}.safetensors'] for name in ('best', 'last'))
    # the checkpoint of the last step is written beside the one before
    assert 1.0 < asked[0] / (of_files + 2 * sizes['checkpoint.pt']) < 1.2


def test_files_that_are_there_count_as_room(tmp_path: Path) -> None:
    (tmp_path / 'checkpoint.pt').write_bytes(bytes(5000))
    with small_disk():
        check_room(tmp_path, 5900)
        with pytest.raises(RunError, match='has no room'):
            check_room(tmp_path, 6100)
    assert [path.name for path in tmp_path.iterdir()] == ['checkpoint.pt']


def test_files_of_the_last_step_that_are_not_saved_end_the_run(
    config: Config, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(*_: object) -> None:
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(training, 'check_room', lambda *_: None)  # full only later
    monkeypatch.setattr(output, 'write_atomically', write)
    with pytest.raises(RunError, match=r'best\.safetensors: not saved .*; make room and --res'):
        train(config, data, tmp_path / 'out', resume=False)


def test_two_trainings_in_one_folder_are_kept_apart(
    config: Config, no_data: Path, tmp_path: Path
) -> None:
    out = tmp_path / 'out'
    code = (
        'import sys, time; from pathlib import Path; from training.loop.output import claimed\n'
        f'with claimed(Path({str(out)!r})): print("holds", flush=True); time.sleep(60)'
    )
    other = subprocess.Popen(
        [sys.executable, '-c', code], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == 'holds\n'
        for resume in (False, True):
            with pytest.raises(RunError, match=rf'out: process {other.pid} on \S+ is training '):
                train(config, no_data, out, resume=resume)
    finally:
        other.kill()
        other.wait()
        other.stdout.close()
    with claimed(out):  # what was killed holds nothing
        pass


def test_a_worker_that_outlives_its_training_holds_nothing(tmp_path: Path) -> None:
    code = (
        'import os, time; from pathlib import Path; from training.loop.output import claimed\n'
        f'with claimed(Path({str(tmp_path / "out")!r})):\n'
        '    if os.fork() == 0: os.close(1); os.close(2); time.sleep(3)\n'
        '    os._exit(0)'  # as a kill would end it
    )
    subprocess.run([sys.executable, '-c', code], cwd=ROOT, check=True, capture_output=True)

    with claimed(tmp_path / 'out'):
        pass


def test_bad_data_leaves_no_folder(tmp_path: Path) -> None:
    config = read_config(experiment(tmp_path))

    with pytest.raises(Exception, match='no such folder'):
        train(config, tmp_path / 'nowhere', tmp_path / 'out', resume=False)
    assert not (tmp_path / 'out').exists()
