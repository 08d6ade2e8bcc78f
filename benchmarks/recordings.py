#!/usr/bin/env python3
"""
What derain does to whole recordings: all but the images as it was, after a kill too, memory flat.

    python3 benchmarks/recordings.py [--frames 2000] [--gigabytes 0.2 2] [--model fast-light]

Of each format it makes a bag of 2,000 frames and ten other topics, de-rains it with the command,
and compares message by message; then again, with kill -9 in the middle and --resume. Then the
peak memory over larger bags, with a function in place of the network. It needs twice as much disk
space as the largest bag.
"""

import argparse
from pathlib import Path
import resource
import signal
import subprocess
import sys
from tempfile import TemporaryDirectory
import time

from _bags import differences, KINDS, OTHERS, write_bag
import _root  # noqa: F401  lets this repository be imported
import numpy as np

from derain_ros.offline.bags import derain_bag
from derain_ros.offline.job import Job

EXAMPLE_SIZE, LARGE_SIZE = (96, 128), (720, 1280)


def example(folder: Path, kind: str, frames: int, model: str) -> str:
    """De-rain a bag, and again with a kill in the middle; return what came of it."""
    bag = write_bag(folder, kind, frames, EXAMPLE_SIZE)
    whole, resumed = (folder / name / bag.name for name in ('whole', 'resumed'))
    command = [sys.executable, '-m', 'derain_ros.offline', '--model', model]
    start = time.monotonic()
    subprocess.run([*command, bag, whole], check=True, stdout=subprocess.DEVNULL)
    seconds = time.monotonic() - start
    process = subprocess.Popen([*command, bag, resumed], stderr=subprocess.DEVNULL)
    time.sleep(seconds / 2)
    process.send_signal(signal.SIGKILL)
    found = [] if process.wait() == -signal.SIGKILL else ['it was done before it was killed']
    found += ['a result without its end'] if resumed.exists() else []
    subprocess.run([*command, bag, resumed, '--resume'], check=True, stdout=subprocess.DEVNULL)
    found += differences(bag, whole) + differences(bag, resumed)
    return (
        f'{kind:8} {frames} frames and {len(OTHERS) * (frames // 2)} other messages in '
        f'{seconds:.0f} s: {"; ".join(found[:3]) or "whole, and whole after a kill"}'
    )


def peak_bytes(folder: Path, kind: str, size_bytes: int) -> tuple[int, int]:
    """Return the size of a bag, and the peak memory of a process that de-rains it."""
    height, width = LARGE_SIZE
    raw_bytes = 3 * height * width  # of each second frame; the others are JPEG
    bag = write_bag(folder, kind, 2 * (size_bytes // raw_bytes), LARGE_SIZE)
    subprocess.run([sys.executable, __file__, '--child', bag, folder / 'out'], check=True)
    total = sum(file.stat().st_size for file in [bag, *bag.rglob('*')] if file.is_file())
    return total, int((folder / 'peak').read_text())


def child(bag: Path, target: Path) -> None:
    """De-rain a bag with a function that darkens, and write the peak memory beside the result."""
    outcome = derain_bag(bag, target, Job(lambda frame: np.maximum(frame, 5) - 5))
    assert not outcome.problems
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    target.with_name('peak').write_text(str(peak))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('--frames', type=int, default=2000)
    parser.add_argument('--gigabytes', type=float, nargs='*', default=[0.2, 2])
    parser.add_argument('--model', default='fast-light')
    parser.add_argument('--child', type=Path, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(*arguments.child)
        return
    for kind in KINDS:
        with TemporaryDirectory() as folder:
            print(example(Path(folder), kind, arguments.frames, arguments.model), flush=True)
    for kind in KINDS:
        for gigabytes in arguments.gigabytes:
            with TemporaryDirectory() as folder:
                size, peak = peak_bytes(Path(folder), kind, round(gigabytes * 1e9))
            print(f'{kind:8} {size / 1e9:.2f} GB: peak memory {peak / 2**20:.0f} MiB', flush=True)


if __name__ == '__main__':
    main()
