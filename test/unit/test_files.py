"""Files that training keeps: written whole or not at all."""

import os
from pathlib import Path

from helpers.disk import small_disk
import pytest

from derain_ros.files import write_atomically


def test_full_disk_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / 'checkpoint.pt'
    write_atomically(path, b'the old one')

    with small_disk(), pytest.raises(OSError, match='File too large'):
        write_atomically(path, bytes(5000))

    assert path.read_bytes() == b'the old one'
    assert list(tmp_path.iterdir()) == [path]


def test_interrupted_writing_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, 'replace', interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / 'checkpoint.pt', b'the new one')

    assert not list(tmp_path.iterdir())


def test_a_file_and_its_name_are_safe_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = []
    monkeypatch.setattr(os, 'fsync', lambda file: synced.append(os.fstat(file).st_ino))

    write_atomically(tmp_path / 'checkpoint.pt', b'the new one')

    assert synced == [(tmp_path / 'checkpoint.pt').stat().st_ino, tmp_path.stat().st_ino]
