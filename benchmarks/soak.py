#!/usr/bin/env python3
"""
The node under random faults: does its memory grow, or its threads, or its open files?

    python3 benchmarks/soak.py [--minutes 30] [--seed 0] [--json FILE]

Ends with status 1 if in the last third of the time the node takes more than 2 % more memory than
in the middle third, or has more threads or files open, or if in the end it de-rains no more. The
time begins after 15 restarts of the node: its memory climbs with the first ones, for a cause that
is not known.
"""

import argparse
from itertools import pairwise
import json
from pathlib import Path
import statistics
import subprocess
import sys
import time
from typing import NamedTuple

from _faults import Car
from _process import descriptors, private_bytes, threads
import _root  # noqa: F401  lets this repository be imported
import numpy as np
import rclpy

from derain_ros.node.transport import use_profile

ROOT = Path(__file__).resolve().parents[1]
GROWTH_PERCENT = 2.0
# Memory climbs with each of the first restarts; the cause is not known. This benchmark looks for
# memory that goes on climbing.
RESTARTS_BEFORE = 15


class Sample(NamedTuple):
    """What the node takes after a fault; the memory is what no other process shares."""

    fault: str
    memory_mb: float
    threads: int
    descriptors: int


COLUMNS = Sample._fields[1:]


def drive(car: Car, pid: int, restarts: int, minutes: float, seed: int) -> list[Sample]:
    """Restart, then do random faults, and see that the node recovers; a sample after each."""
    rng, samples = np.random.default_rng(seed), []
    for _ in range(restarts):
        car.restart(rng)
        car.expect_derained()
    end = time.monotonic() + 60 * minutes
    while time.monotonic() < end:
        fault = car.faults[rng.integers(len(car.faults))]
        fault(rng)
        car.expect_derained()
        memory_mb = private_bytes(pid) / 2**20
        samples.append(Sample(fault.__name__, memory_mb, threads(pid), descriptors(pid)))
    return samples


def thirds(samples: list[Sample]) -> dict[str, list[float]]:
    """Return the median of each column in each third of the time."""
    bounds = [round(third * len(samples) / 3) for third in range(4)]
    return {
        column: [
            statistics.median(getattr(one, column) for one in samples[start:stop])
            for start, stop in pairwise(bounds)
        ]
        for column in COLUMNS
    }


def verdict(figures: dict[str, list[float]], growth_percent: float) -> list[str]:
    """Return a line for everything that grew."""
    lines = []
    for column, (first, middle, last) in figures.items():
        is_memory = column == 'memory_mb'
        # the engine ends threads with a network that was not used for a minute
        most = middle * (1 + growth_percent / 100) if is_memory else max(first, middle)
        if last > most:
            lines.append(
                f'{column} grew to {last:.1f} in the last third; at most {most:.1f} is allowed'
            )
    return lines


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('--minutes', type=float, default=30.0)
    parser.add_argument('--seed', type=int, default=0, help='of the faults and their order')
    parser.add_argument(
        '--growth-percent',
        type=float,
        default=GROWTH_PERCENT,
        help='of memory that is allowed; in a few minutes not all of it has been allocated once',
    )
    parser.add_argument(
        '--restarts-before',
        type=int,
        default=RESTARTS_BEFORE,
        help='of the node, until its memory is compared: the first ones take more, and why is not '
        'known',
    )
    parser.add_argument('--json', type=Path, help='also write every sample to this file')
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    use_profile(ROOT / 'config' / 'fastdds_shm.xml')
    rclpy.init()
    namespace = f'/soak_{time.monotonic_ns()}'
    node = subprocess.Popen(
        [
            *(sys.executable, '-m', 'derain_ros.node', '--ros-args', '--log-level', 'fatal'),
            *('-r', f'__ns:={namespace}', '-p', 'engine:=openvino', '-p', 'deadline:=5.0'),
        ],
        cwd=ROOT,
    )
    car = Car(namespace)
    try:
        car.expect_derained()
        samples = drive(
            car, node.pid, arguments.restarts_before, arguments.minutes, arguments.seed
        )
    finally:
        car.close()
        node.terminate()
        status = node.wait(timeout=30)
        rclpy.try_shutdown()
    figures = thirds(samples)
    print(f'{len(samples)} faults, {car.came} images came back; medians of the three thirds')
    for column, values in figures.items():
        print(f'  {column:<12}', *(f'{value:8.1f}' for value in values))
    if arguments.json:
        rows = [sample._asdict() for sample in samples]
        arguments.json.write_text(json.dumps(rows, indent=2) + '\n')
    problems = verdict(figures, arguments.growth_percent)
    if status != 0:
        problems.append(f'the node ended with status {status}')
    sys.exit('\n'.join(problems) or 0)


if __name__ == '__main__':
    main()
