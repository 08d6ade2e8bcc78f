"""The engine cache, with engines that TensorRT for RTX really built."""

from dataclasses import fields, replace
import logging
import os
from pathlib import Path
import resource
import shutil
import signal
import subprocess
import sys

from helpers.data import ROOT
import pytest

from derain_ros.engine.tensorrt.api import load_tensorrt
from derain_ros.engine.tensorrt.build import build_engine
from derain_ros.engine.tensorrt.cache import EngineCache
from derain_ros.engine.tensorrt.entry import CacheError, Entry, Facts, Key
from derain_ros.engine.tensorrt.graph import Size
from derain_ros.errors import EngineError
from derain_ros.model.graph import load_graph
from derain_ros.model.half import convolutions

SMALL = Size(1, 48, 64)

try:
    load_tensorrt()
except EngineError as missing:
    pytest.skip(f'{missing}; pip install -r requirements/tensorrt.txt', allow_module_level=True)


@pytest.fixture(scope='module')
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a cache directory with one engine in it."""
    directory = tmp_path_factory.mktemp('built') / 'derain_ros'
    build_engine('fast', SMALL, cache=EngineCache(directory))
    return directory


@pytest.fixture
def cache(built: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> EngineCache:
    caplog.set_level(logging.INFO)
    return EngineCache(Path(shutil.copytree(built, tmp_path / 'derain_ros')))


def only(cache: EngineCache) -> Entry:
    (entry,) = cache.entries()
    return entry


def no_build() -> tuple[bytes, Facts]:
    raise AssertionError('built although the cache has it')


def command(directory: Path, **options: object) -> subprocess.Popen:
    """Build the small engine in a process whose cache is ``directory``."""
    return subprocess.Popen(
        [sys.executable, '-m', 'derain_ros.build_engine', 'fast', '--size', '64x48'],
        cwd=ROOT,
        env={**os.environ, 'XDG_CACHE_HOME': str(directory.parent)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


def test_an_engine_is_found_and_not_built_again(cache, caplog):
    entry = only(cache)
    assert cache.get(entry.key, no_build) == entry
    assert build_engine('fast', SMALL, cache=cache) == entry
    assert caplog.records == []


@pytest.mark.parametrize('element', [field.name for field in fields(Key)])
def test_every_element_of_the_key_makes_a_miss_that_is_named(cache, caplog, element):
    entry = only(cache)
    other = replace(
        entry.key, **{element: 7 if isinstance(getattr(entry.key, element), int) else 'other'}
    )
    kept = cache.get(other, lambda: (b'another engine', entry.facts))
    assert kept.path != entry.path
    assert cache.get(other, no_build).plan == b'another engine'
    assert cache.get(entry.key, no_build) == entry
    (record,) = caplog.records
    assert element in record.message


@pytest.mark.parametrize(
    'damage, reason',
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), 'damaged'),
        (lambda path: path.write_bytes(b''), 'damaged'),
        (lambda path: path.with_suffix('.json').unlink(), 'json is missing'),
        (lambda path: path.with_suffix('.json').write_text('{"key": '), 'does not describe'),
        (lambda path: path.with_suffix('.json').write_text('{}'), 'does not describe'),
        (
            lambda path: path.with_suffix('.json').write_text(
                path.with_suffix('.json').read_text().replace('"gpu": "', '"gpu": "other ')
            ),
            'foreign',
        ),
    ],
    ids=['truncated', 'empty', 'sidecar missing', 'sidecar cut', 'sidecar empty', 'foreign'],
)
def test_an_engine_that_cannot_be_trusted_is_built_once_more(cache, caplog, damage, reason):
    good = only(cache)
    damage(good.path)
    again = build_engine('fast', SMALL, cache=cache)
    assert again.key == good.key
    assert build_engine('fast', SMALL, cache=cache) == again
    (record,) = caplog.records
    assert reason in record.message


def test_the_sidecar_tells_a_person_what_the_engine_is(cache):
    text = only(cache).path.with_suffix('.json').read_text()
    count = len(convolutions(load_graph('fast')))
    for line in ('"precision": "fp16"', '"width": 64', '"model": "fast"', f'"fp16": {count}'):
        assert line in text


def test_two_processes_build_one_engine(tmp_path):
    directory = tmp_path / 'derain_ros'
    processes = [command(directory) for _ in range(2)]
    results = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert results[0][0] == results[1][0]
    assert sum('building' in errors for _, errors in results) == 1
    assert isinstance(only(EngineCache(directory)), Entry)


def test_a_build_that_is_killed_leaves_nothing_in_the_way(tmp_path):
    directory = tmp_path / 'derain_ros'
    killed = subprocess.run(
        [
            sys.executable,
            '-c',
            f"""
import os, signal
from pathlib import Path
from derain_ros.engine.tensorrt.build import build_engine, Size
from derain_ros.engine.tensorrt.cache import EngineCache
build_engine('fast', Size(1, 48, 64), cache=EngineCache(Path({str(directory)!r})),
             progress=lambda *_: os.kill(os.getpid(), signal.SIGKILL))
""",
        ],
        cwd=ROOT,
    )
    assert killed.returncode == -signal.SIGKILL
    (directory / 'half.partial').write_bytes(b'half an engine')
    cache = EngineCache(directory)
    assert list(cache.entries()) == []
    entry = build_engine('fast', SMALL, cache=cache)
    rebuilt = entry.path.with_suffix('.partial')
    rebuilt.write_bytes(b'half of the same engine, built anew')
    assert set(cache.prune(lambda key: True)) == {directory / 'half.partial', rebuilt}
    assert list(cache.entries()) == [entry]


def test_a_full_disk_is_named_and_nothing_half_written_stays(tmp_path):
    directory = tmp_path / 'derain_ros'

    def limit() -> None:  # the same failing write as a full disk, which a test cannot have
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    process = command(directory, preexec_fn=limit)
    _, errors = process.communicate()
    assert process.returncode == 2
    assert f'error: {directory}' in errors
    assert 'cannot be written' in errors
    assert [path.name for path in directory.iterdir()] == ['lock']


def test_a_directory_that_cannot_be_written_is_named():
    # /sys refuses root as well
    with pytest.raises(CacheError, match=r'/sys/derain_ros cannot be written .*XDG_CACHE_HOME'):
        build_engine('fast', SMALL, cache=EngineCache(Path('/sys/derain_ros')))


def test_an_engine_built_ahead_is_found_without_writing(cache):
    before = sorted(path.stat().st_mtime_ns for path in cache.directory.parent.rglob('*'))
    cache.get(only(cache).key, no_build)
    assert sorted(path.stat().st_mtime_ns for path in cache.directory.parent.rglob('*')) == before


@pytest.mark.parametrize('mode', [0o777, 0o770])
def test_a_directory_that_others_can_write_is_not_trusted(cache, mode):
    entry = only(cache)
    cache.directory.chmod(mode)
    with pytest.raises(CacheError, match=r'plant an engine.*chmod 700'):
        cache.get(entry.key, no_build)
    with pytest.raises(CacheError, match='plant an engine'):
        cache.read(entry.path)


def test_a_directory_of_another_user_is_not_trusted(cache, monkeypatch):
    status = os.stat_result((0o40700, 0, 0, 2, 4321, 4321, 0, 0, 0, 0))
    monkeypatch.setattr(Path, 'stat', lambda *_, **__: status)
    with pytest.raises(CacheError, match='plant an engine'):
        cache.read(cache.directory / 'any.engine')


def test_a_directory_that_may_not_be_entered_is_named(cache, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, 'Permission denied')

    monkeypatch.setattr(Path, 'stat', refuse)
    with pytest.raises(CacheError, match=r'derain_ros cannot be entered \(Permission denied\); '):
        cache.read(cache.directory / 'any.engine')


def test_the_directory_is_the_users_alone(built):
    assert built.stat().st_mode & 0o777 == 0o700


def test_prune_keeps_what_this_machine_runs(cache):
    entry = only(cache)
    old = cache.get(replace(entry.key, version='1.0'), lambda: (b'old', entry.facts))
    removed = cache.prune(lambda key: key.version == entry.key.version)
    assert removed == [old.path, old.path.with_suffix('.json')]
    assert list(cache.entries()) == [entry]
