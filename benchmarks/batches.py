#!/usr/bin/env python3
"""
What a frame costs when the frames of several cameras are inferred as one batch.

    python3 benchmarks/batches.py [--batches 1 2 4 6] [--rounds 3] [--json FILE]

In one process, through the scheduler of the node, by the engine that runs on this machine. The
batch sizes take turns, so that a busy machine slows all of them; medians over rounds.
"""

import argparse
import json
from pathlib import Path
import statistics
import threading
import time

from _images import noise
import _root  # noqa: F401  lets this repository be imported
import numpy as np
from sensor_msgs.msg import Image

from derain_ros.engine.base import Engine
from derain_ros.engine.factory import create_engine
from derain_ros.errors import EngineError
from derain_ros.image.raw import RawCodec
from derain_ros.stream.fates import Fate, Result
from derain_ros.stream.policy import Policy
from derain_ros.stream.scheduler import Scheduler

HEIGHT, WIDTH = 360, 640
WARM_UP, TIMED = 2, 6  # batches
DEADLINE_S = 60.0


class Feed:
    """Keeps an image of every stream waiting, so that all batches are full."""

    def __init__(self, engine: Engine, message: Image, batch: int) -> None:
        self._scheduler = Scheduler(engine, max_batch=batch)
        self._message, self._batch = message, batch
        self._delivered = 0
        self._finished = threading.Event()
        self._streams = [
            self._scheduler.add_stream(
                RawCodec(Image()), self._deliver, Policy(deadline_s=DEADLINE_S)
            )
            for _ in range(batch)
        ]
        self._ends: list[float] = []
        self._failure = ''

    def ms_per_frame(self) -> float:
        """
        Return the median of the timed batches, divided by their size.

        :raises EngineError: a frame was not de-rained.
        """
        self._submit()
        self._finished.wait()
        self._scheduler.close()
        if self._failure:
            raise EngineError(self._failure)
        return float(np.median(np.diff(self._ends[WARM_UP:])) / self._batch * 1e3)

    def _submit(self) -> None:
        for stream in self._streams:
            self._scheduler.submit(stream, self._message)

    def _deliver(self, result: Result) -> None:
        # on the thread that takes the next batch: it finds all of it waiting
        self._delivered += 1
        if result.fate is not Fate.DERAINED:
            self._failure = result.reason
        if self._delivered % self._batch == 0:
            self._ends.append(time.perf_counter())
            if self._failure or len(self._ends) > WARM_UP + TIMED:
                self._finished.set()
            else:
                self._submit()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('--batches', type=int, nargs='+', default=[1, 2, 4, 6])
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--json', type=Path, help='also write the figures to this file')
    arguments = parser.parse_args()
    engine = create_engine('openvino', 'fast')
    message = noise(HEIGHT, WIDTH)
    times: dict[int, list[float]] = {batch: [] for batch in arguments.batches}
    for _ in range(arguments.rounds):
        for batch in arguments.batches:
            times[batch].append(Feed(engine, message, batch).ms_per_frame())
    engine.close()
    figures = {batch: statistics.median(values) for batch, values in times.items()}
    print(f'{WIDTH}x{HEIGHT} on {engine.name} ({engine.precision}), ms per frame')
    for batch, ms in figures.items():
        print(f'  batch of {batch}: {ms:6.1f}')
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + '\n')


if __name__ == '__main__':
    main()
