"""Random faults for half a minute: the short form of the soak among the benchmarks."""

import os
import subprocess
import sys

from helpers.data import ROOT


def test_nothing_grows_under_random_faults():
    # what is compared is the memory in use, and not what malloc keeps for each thread; in so
    # short a time not every buffer has been allocated once
    ended = subprocess.run(
        [
            *(sys.executable, ROOT / 'benchmarks' / 'soak.py'),
            *('--minutes', '0.5', '--growth-percent', '10', '--restarts-before', '4'),
        ],
        env=os.environ | {'MALLOC_ARENA_MAX': '2'},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stdout
    assert 'images came back' in ended.stdout
