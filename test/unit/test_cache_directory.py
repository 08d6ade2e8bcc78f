"""The cache directory, which is trusted and so must be the user's alone."""

import os
from pathlib import Path
import subprocess
import sys
import time

import pytest

from derain_ros import cache_directory as cache
from derain_ros.errors import DataError


def test_it_is_where_xdg_says(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    assert cache.cache_directory() == tmp_path / 'derain_ros'


@pytest.mark.parametrize('relative', ['', 'somewhere'])
def test_it_is_below_home_where_xdg_says_nothing_absolute(tmp_path, monkeypatch, relative):
    monkeypatch.setenv('XDG_CACHE_HOME', relative)
    monkeypatch.setenv('HOME', str(tmp_path))
    assert cache.cache_directory() == tmp_path / '.cache' / 'derain_ros'


def test_without_a_home_the_way_out_is_named(monkeypatch):
    monkeypatch.delenv('XDG_CACHE_HOME', raising=False)
    monkeypatch.delenv('HOME', raising=False)

    def nobody(user: int) -> None:
        raise KeyError(user)

    monkeypatch.setattr('pwd.getpwuid', nobody)  # as in a container with a user of its own
    with pytest.raises(DataError, match=r'no home directory.*set XDG_CACHE_HOME'):
        cache.cache_directory()


def test_it_is_made_for_the_user_alone(tmp_path):
    before = os.umask(0)
    try:
        made = cache.make_private(tmp_path / 'a' / 'b')
    finally:
        os.umask(before)
    assert made.stat().st_mode & 0o777 == 0o700
    assert cache.make_private(made) == made


@pytest.mark.parametrize('mode', [0o777, 0o720, 0o702])
def test_a_directory_that_others_can_write_to_is_refused(tmp_path, mode):
    (tmp_path / 'cache').mkdir()
    (tmp_path / 'cache').chmod(mode)
    with pytest.raises(DataError, match=r'other users can write to it.*chmod 700'):
        cache.make_private(tmp_path / 'cache')


def test_a_link_of_ones_own_to_a_larger_disk_is_followed(tmp_path):
    (tmp_path / 'large').mkdir(mode=0o700)
    (tmp_path / 'cache').symlink_to(tmp_path / 'large')
    assert cache.make_private(tmp_path / 'cache') == tmp_path / 'cache'


@pytest.mark.skipif(os.geteuid() != 0, reason='only root can give a file away')
def test_what_another_user_planted_is_refused(tmp_path):
    (tmp_path / 'theirs').mkdir(mode=0o700)
    os.chown(tmp_path / 'theirs', 1234, 1234)
    (tmp_path / 'ours').mkdir(mode=0o700)
    (tmp_path / 'link').symlink_to(tmp_path / 'ours')
    os.lchown(tmp_path / 'link', 1234, 1234)
    for name in ('theirs', 'link'):
        with pytest.raises(DataError, match='other users can write to it'):
            cache.make_private(tmp_path / name)


def test_what_cannot_be_made_names_the_way_out(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(DataError, match=r'file/cache: cannot be made.*set XDG_CACHE_HOME'):
        cache.make_private(tmp_path / 'file' / 'cache')


def test_a_planted_link_in_place_of_the_lock_costs_nobody_a_file(tmp_path):
    (tmp_path / 'precious').write_text('precious')
    (tmp_path / 'lock').symlink_to(tmp_path / 'precious')
    with pytest.raises(DataError, match=r'lock: cannot be locked'), cache.locked(tmp_path):
        pass
    assert (tmp_path / 'precious').read_text() == 'precious'


def test_a_second_process_waits_for_the_lock(tmp_path):
    code = f"""
from pathlib import Path
from derain_ros.cache_directory import locked
with locked(Path({str(tmp_path)!r})):
    Path({str(tmp_path / 'second')!r}).touch()
"""
    with cache.locked(tmp_path):
        process = subprocess.Popen([sys.executable, '-c', code])
        while not _waits(process):
            assert process.poll() is None
            time.sleep(0.01)
        assert not (tmp_path / 'second').exists()
    assert process.wait(timeout=30) == 0
    assert (tmp_path / 'second').exists()


def _waits(process: subprocess.Popen) -> bool:
    """Tell whether a process waits for a file lock."""
    return any(f' {process.pid} ' in line for line in _waiting())


def _waiting() -> list[str]:
    return [line for line in Path('/proc/locks').read_text().splitlines() if '->' in line]
