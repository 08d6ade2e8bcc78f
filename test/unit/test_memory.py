"""Memory of freed images, in a process of its own: what glibc is told holds to its end."""

import ctypes
import subprocess
import sys

from helpers.data import ROOT
import pytest

FREED = """
from pathlib import Path
import numpy as np
from derain_ros.node.memory import keep_freed_memory, return_freed_memory

def resident_mb():
    return int(Path('/proc/self/statm').read_text().split()[1]) * 4096 / 1e6

keep_freed_memory()
images = [np.ones(6_000_000, np.uint8) for _ in range(15)]
last = np.ones(1000, np.uint8)
del images
kept = resident_mb()
return_freed_memory()
print(kept - resident_mb())
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), 'malloc_trim'), reason='this is not glibc')
def test_freed_images_are_kept_until_they_are_returned():
    ended = subprocess.run(
        [sys.executable, '-c', FREED], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert float(ended.stdout) > 60
