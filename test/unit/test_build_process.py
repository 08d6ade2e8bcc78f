"""Building in another process, with a stand-in for the command that builds."""

from concurrent.futures import ThreadPoolExecutor
import logging
import os
from pathlib import Path
import sys
import time

from helpers.car import Painter
import pytest

pytest.importorskip('cuda.bindings', reason='pip install -r requirements/tensorrt.txt')

from derain_ros.engine.self_test import SelfTestError
from derain_ros.engine.tensorrt import engine as tensorrt
from derain_ros.engine.tensorrt.build_process import BuildProcess
from derain_ros.engine.tensorrt.cache import EngineCache
from derain_ros.engine.tensorrt.graph import Size
from derain_ros.errors import EngineError

SMALL = Size(1, 48, 64)


def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    """Have a shell script in place of Python."""
    script = tmp_path / 'python'
    script.write_text('\n'.join(['#!/bin/sh', *lines, '']))
    script.chmod(0o755)
    monkeypatch.setattr(sys, 'executable', str(script))


def test_closing_ends_the_build_under_way_and_the_one_behind_it(tmp_path, monkeypatch):
    running = tmp_path / 'running'
    command(tmp_path, monkeypatch, f'echo $$ >> {running}', 'exec sleep 60')
    builds = BuildProcess('fast', logging.getLogger())
    with ThreadPoolExecutor(1) as background:
        asked = [background.submit(builds.build, SMALL, order) for order in ('bgr', 'rgb')]
        while not running.exists():
            time.sleep(0.01)
        builds.close()
        for build, reason in zip(asked, ('exit status -15', 'the engine is closed')):
            with pytest.raises(EngineError, match=f'TensorRT engine not built: {reason}'):
                build.result(timeout=10)
    (process,) = map(int, running.read_text().split())
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_the_last_line_of_a_build_that_crashed_is_the_reason(tmp_path, monkeypatch):
    command(tmp_path, monkeypatch, 'echo building >&2', 'echo "as nice as $(nice)" >&2', 'exit 2')
    niceness = min(19, os.nice(0) + 10)  # the frames have the first right to the processor
    with pytest.raises(EngineError, match=rf'^TensorRT engine not built: as nice as {niceness}$'):
        BuildProcess('fast', logging.getLogger()).build(SMALL, 'bgr')


def test_what_the_building_process_answers_is_the_reason(tmp_path):
    builds = BuildProcess(str(tmp_path / 'gone.onnx'), logging.getLogger())
    with pytest.raises(EngineError, match=r"not built: model '.*gone\.onnx': neither"):
        builds.build(SMALL, 'bgr')


@pytest.fixture
def loaded(tmp_path, monkeypatch) -> list[Painter]:
    """Have any build answered at once, and stand-ins loaded; return those loaded so far."""
    command(tmp_path, monkeypatch, """echo '{"path": "some.engine"}'""")
    engines = []

    def load(entry: object) -> Painter:
        engines.append(Painter('tensorrt', len(engines)))
        return engines[-1]

    monkeypatch.setattr(tensorrt, 'TensorRtEngine', load)
    monkeypatch.setattr(EngineCache, 'read', lambda self, path: path)
    return engines


def test_an_engine_that_fails_its_self_test_is_built_anew_once_and_closed(loaded, caplog):
    def fail(engine: Painter, size: Size, order: str) -> None:
        raise SelfTestError('self-test: a dry frame came out black')

    builds = BuildProcess('fast', logging.getLogger(), fail)
    for count in (2, 3):
        with pytest.raises(SelfTestError, match='came out black'):
            builds.build(SMALL, 'bgr')
        assert len(loaded) == count
    assert [record.message for record in caplog.records if record.levelname == 'WARNING'] == [
        'building it anew: self-test: a dry frame came out black'
    ]
    for engine in loaded:
        assert engine.closed.wait(10)


def test_an_engine_that_passes_its_self_test_is_used(loaded):
    tested = []

    def test(engine: Painter, size: Size, order: str) -> None:
        tested.append((engine, size, order))

    engine = BuildProcess('fast', logging.getLogger(), test).build(SMALL, 'rgb')
    assert tested == [(engine, SMALL, 'rgb')]
    assert not engine.closed.is_set()
