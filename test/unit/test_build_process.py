"""Building in another process, with a stand-in for the command that builds."""

from concurrent.futures import ThreadPoolExecutor
import logging
import os
from pathlib import Path
import sys
import time

import pytest

from derain_ros.engine.tensorrt.build_process import BuildProcess
from derain_ros.engine.tensorrt.graph import Size
from derain_ros.errors import EngineError

pytest.importorskip('cuda.bindings', reason='pip install -r requirements/tensorrt.txt')

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
        asked = [background.submit(builds, SMALL, order) for order in ('bgr', 'rgb')]
        while not running.exists():
            time.sleep(0.01)
        builds.close()
        for build in asked:
            with pytest.raises(EngineError, match='TensorRT engine not built: exit status -15'):
                build.result(timeout=10)
    for process in map(int, running.read_text().split()):
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_the_last_line_of_a_failed_build_is_the_reason(tmp_path, monkeypatch):
    command(
        tmp_path,
        monkeypatch,
        'echo building >&2',
        'echo "error: as nice as $(nice)" >&2',
        'exit 2',
    )
    niceness = min(19, os.nice(0) + 10)  # the frames have the first right to the processor
    with pytest.raises(EngineError, match=rf'^TensorRT engine not built: as nice as {niceness}$'):
        BuildProcess('fast', logging.getLogger())(SMALL, 'bgr')
