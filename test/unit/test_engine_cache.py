"""The engine cache, with engines that TensorRT for RTX really built."""

from dataclasses import fields, replace
import signal
import subprocess
import sys

from helpers.data import ROOT
from helpers.engines import build_command, only, SMALL
import pytest

from derain_ros.engine.tensorrt.build import build_engine
from derain_ros.engine.tensorrt.cache import EngineCache
from derain_ros.engine.tensorrt.entry import Entry, Facts, Key
from derain_ros.model.graph import load_graph
from derain_ros.model.half import convolutions


def no_build() -> tuple[bytes, Facts]:
    raise AssertionError('built although the cache has it')


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


def test_the_sidecar_tells_a_person_what_the_engine_is(cache):
    text = only(cache).path.with_suffix('.json').read_text()
    count = len(convolutions(load_graph('fast')))
    for line in ('"precision": "fp16"', '"width": 64', '"model": "fast"', f'"fp16": {count}'):
        assert line in text


def test_two_processes_build_one_engine(tmp_path):
    directory = tmp_path / 'derain_ros'
    processes = [build_command(directory) for _ in range(2)]
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


def test_an_engine_built_ahead_is_found_without_writing(cache):
    before = sorted(path.stat().st_mtime_ns for path in cache.directory.parent.rglob('*'))
    cache.get(only(cache).key, no_build)
    assert sorted(path.stat().st_mtime_ns for path in cache.directory.parent.rglob('*')) == before


def test_the_directory_is_the_users_alone(built):
    assert built.stat().st_mode & 0o777 == 0o700


def test_prune_keeps_what_this_machine_runs(cache):
    entry = only(cache)
    old = cache.get(replace(entry.key, version='1.0'), lambda: (b'old', entry.facts))
    removed = cache.prune(lambda key: key.version == entry.key.version)
    assert removed == [old.path, old.path.with_suffix('.json')]
    assert list(cache.entries()) == [entry]
