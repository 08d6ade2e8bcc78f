"""Stages that overlap: order is kept, and no more is read ahead than is needed."""

from collections.abc import Iterator
import random
import subprocess
import sys
import threading
import time

from helpers.data import ROOT
import pytest

from derain_ros.offline.overlap import LONGEST_QUEUE, overlapped


def slow(item: int) -> int:
    time.sleep(random.Random(item).random() / 500)
    return item


def test_results_come_in_order_and_inference_has_one_thread():
    inferred, threads = [], set()

    def infer(item: int) -> int:
        threads.add(threading.current_thread())
        inferred.append(item)
        return -item

    results = overlapped(iter(range(60)), slow, infer, slow, jobs=4)
    assert [(item, result.result()) for item, result in results] == [(i, -i) for i in range(60)]
    assert inferred == list(range(60))
    assert len(threads) == 1


def test_items_that_are_no_frames_keep_their_place():
    results = overlapped(
        iter(range(50)), slow, slow, slow, jobs=2, is_frame=lambda item: item % 5 == 0
    )
    found = [(item, result and result.result()) for item, result in results]
    assert found == [(item, None if item % 5 else item) for item in range(50)]


@pytest.mark.parametrize('every', [1, 10, 1000])
def test_little_is_read_ahead(every):
    read = 0
    release = threading.Event()

    def items() -> Iterator[int]:
        nonlocal read
        for index in range(1000):
            read += 1
            yield index

    def infer(item: int) -> int:
        release.wait()
        return item

    results = overlapped(
        items(), slow, infer, slow, jobs=2, is_frame=lambda item: item % every == 0
    )
    threading.Timer(0.2, release.set).start()
    next(results)
    assert read <= LONGEST_QUEUE + 1
    if every == 1:
        assert read <= 2 * 2 + 2
    assert len(list(results)) == 999


def test_an_error_is_that_of_its_frame_alone():
    def decode(item: int) -> int:
        if item == 3:
            raise ValueError('the third')
        return item

    results = list(overlapped(iter(range(6)), decode, slow, slow, jobs=2))
    for item, result in results:
        if item == 3:
            with pytest.raises(ValueError, match='the third'):
                result.result()
        else:
            assert result.result() == item


GROWTH = """
import resource, sys
from pathlib import Path
sys.path.insert(0, 'test')
from helpers.offline import darker, write_drive
from derain_ros.offline.bags import derain_bag
from derain_ros.offline.job import Job

folder, kind = Path(sys.argv[1]), sys.argv[2]
peaks = []
for frames in (100, 600):
    bag = write_drive(folder / f'{frames}.bag', kind, frames, size=(240, 320))
    if frames == 100:
        derain_bag(bag, folder / 'first.bag', Job(darker))
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
derain_bag(bag, folder / 'second.bag', Job(darker))
peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
print((peaks[1] - peaks[0]) // 1024)
"""


@pytest.mark.parametrize('kind', ['ros1', 'sqlite3'])
def test_memory_does_not_grow_with_a_recording(kind, tmp_path):
    said = subprocess.run(
        [sys.executable, '-c', GROWTH, tmp_path, kind], cwd=ROOT, capture_output=True, text=True
    )
    assert said.returncode == 0, said.stderr
    size_mib = 600 * 240 * 320 * 3 // 2**20
    assert int(said.stdout) < 60 < size_mib  # MiB
