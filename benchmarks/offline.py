#!/usr/bin/env python3
"""
What the offline tool costs beside the network: its throughput as a share of the bare engine's.

    python3 benchmarks/offline.py [--rounds 3] [--frames 40] [--json FILE]

A bag of 1280x720 JPEG frames is de-rained, decoding and encoding included; the bare engine infers
as many frames that are in memory already; and the bag is written with a copy in place of the
network. In turns, so that a busy machine slows all three.
"""

import argparse
from collections.abc import Callable
import json
from pathlib import Path
import statistics
from tempfile import TemporaryDirectory
import time
from typing import Any, NamedTuple

from _bags import picture
import _root  # noqa: F401  lets this repository be imported
import cv2
from mcap.writer import Writer
import numpy as np
from rosbags.typesys import get_typestore, Stores

from derain_ros import Derainer
from derain_ros.offline.bags import derain_bag
from derain_ros.offline.job import Job

HEIGHT, WIDTH = 720, 1280
KIND = 'sensor_msgs/msg/CompressedImage'
WAYS = ('engine', 'derain', 'without network')
RATE_HZ = 10
FLEET_FRAMES = 1000 * 3600 * 6 * RATE_HZ


class Measured(NamedTuple):
    """Frames per second, and milliseconds of CPU time for each."""

    rate: float
    cpu_ms: float


def write_bag(path: Path, frames: int) -> None:
    """Write an MCAP file of JPEG frames of one camera at 10 frames per second."""
    types = get_typestore(Stores.ROS2_HUMBLE)
    header, stamp, image = (
        types.types[name] for name in ('std_msgs/msg/Header', 'builtin_interfaces/msg/Time', KIND)
    )
    pictures = [
        cv2.imencode('.jpg', picture(index, HEIGHT, WIDTH))[1].ravel() for index in range(4)
    ]
    with path.open('wb') as file:
        writer = Writer(file)
        writer.start('ros2')
        schema = writer.register_schema(KIND, 'ros2msg', types.generate_msgdef(KIND)[0].encode())
        channel = writer.register_channel('/camera/compressed', 'cdr', schema)
        for index in range(frames):
            message = image(header(stamp(0, index), 'camera'), 'jpeg', pictures[index % 4])
            data = bytes(types.serialize_cdr(message, KIND))
            writer.add_message(channel, index * 10**8, data, index * 10**8)
        writer.finish()


def measured(frames: int, run: Callable[[], None]) -> Measured:
    """Return frames per second, and milliseconds of CPU time for each."""
    start, work = time.perf_counter(), time.process_time()
    run()
    seconds, work_s = time.perf_counter() - start, time.process_time() - work
    return Measured(frames / seconds, 1e3 * work_s / frames)


def measure(model: str, frames: int, rounds: int, jobs: int) -> tuple[dict[str, Any], float]:
    """Return what was measured in each round by name, and how many bytes a frame takes."""
    found: dict[str, Any] = {name: [] for name in WAYS}
    with TemporaryDirectory() as folder, Derainer(model) as derain:
        source, target = Path(folder) / 'rain.mcap', Path(folder) / 'clean.mcap'
        write_bag(source, frames)
        pictures = [picture(index, HEIGHT, WIDTH) for index in range(4)]
        derain(pictures[0])  # compiles

        def engine() -> None:
            for index in range(frames):
                derain(pictures[index % 4])

        def files(function: Callable[[np.ndarray], np.ndarray]) -> None:
            outcome = derain_bag(source, target, Job(function, jobs))
            assert (outcome.frames, outcome.problems) == (frames, [])
            target.unlink()

        ways = (engine, lambda: files(derain), lambda: files(lambda frame: frame.copy()))
        for _ in range(rounds):
            for name, run in zip(WAYS, ways):
                found[name].append(measured(frames, run))
        print(f'{WIDTH}x{HEIGHT} JPEG, {model} on {derain.engine} ({derain.precision})')
        return found, source.stat().st_size / frames


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--frames', type=int, default=40)
    parser.add_argument('--model', default='fast')
    parser.add_argument('--jobs', type=int, default=2)
    parser.add_argument('--json', type=Path)
    arguments = parser.parse_args()
    found, frame_bytes = measure(
        arguments.model, arguments.frames, arguments.rounds, arguments.jobs
    )
    result = {}
    for name, rounds in found.items():
        rate, work_ms = (statistics.median(column) for column in zip(*rounds))
        result[name] = {'frames_per_second': rate, 'cpu_ms': work_ms}
        print(f'{name:16} {rate:7.2f} frames/s {work_ms:8.1f} ms of CPU time per frame')
    share = statistics.median(
        offline.rate / engine.rate for engine, offline in zip(found['engine'], found['derain'])
    )
    print(f'{"share":16} {share:7.2f}')
    hours = FLEET_FRAMES / result['derain']['frames_per_second'] / 3600
    print(
        f'1,000 hours of six cameras at {RATE_HZ} Hz: {hours:,.0f} hours on this machine, '
        f'{FLEET_FRAMES * frame_bytes / 1e12:.0f} TB to read and as much to write'
    )
    if arguments.json:
        arguments.json.write_text(json.dumps(result | {'share': share}, indent=2) + '\n')


if __name__ == '__main__':
    main()
