"""TensorRT engines that tests really build; importing it skips them where there is no TensorRT."""

import os
from pathlib import Path
import subprocess
import sys

import pytest

from derain_ros.engine.tensorrt.api import load_tensorrt
from derain_ros.engine.tensorrt.cache import EngineCache
from derain_ros.engine.tensorrt.entry import Entry
from derain_ros.engine.tensorrt.graph import Size
from derain_ros.errors import EngineError
from helpers.data import ROOT

SMALL = Size(1, 48, 64)

try:
    TENSORRT = load_tensorrt()
except EngineError as missing:
    pytest.skip(f'{missing}; pip install -r requirements/tensorrt.txt', allow_module_level=True)


def only(cache: EngineCache) -> Entry:
    """Return the one engine in a cache."""
    (entry,) = cache.entries()
    assert isinstance(entry, Entry)
    return entry


def build_command(directory: Path, **options: object) -> subprocess.Popen:
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
