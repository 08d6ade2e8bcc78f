#!/usr/bin/env python3
"""
What the offline tool costs beside the network: its throughput as a share of the bare engine's.

    python3 benchmarks/offline.py [--rounds 3] [--frames 40] [--json FILE]

A bag of 1280x720 JPEG frames is de-rained, decoding and encoding included, and the bare engine
infers as many frames that are in memory already; in turns, so that a busy machine slows both.
"""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
import json
from pathlib import Path
import statistics
from tempfile import TemporaryDirectory
import time

from _bags import picture
import _root  # noqa: F401  lets this repository be imported
import cv2
from mcap.writer import Writer
from rosbags.typesys import get_typestore, Stores

from derain_ros import Derainer
from derain_ros.offline.bags import derain_bag
from derain_ros.offline.job import Job

HEIGHT, WIDTH = 720, 1280
KIND = 'sensor_msgs/msg/CompressedImage'


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--frames', type=int, default=40)
    parser.add_argument('--model', default='fast')
    parser.add_argument('--jobs', type=int, default=2)
    parser.add_argument('--json', type=Path)
    arguments = parser.parse_args()
    frames, rates = arguments.frames, {'engine': [], 'offline': []}
    busy: dict[str, list[float]] = {name: [] for name in rates}

    @contextmanager
    def measured(name: str) -> Iterator[None]:
        start, work = time.perf_counter(), time.process_time()
        yield
        rates[name].append(frames / (time.perf_counter() - start))
        busy[name].append((time.process_time() - work) / frames)

    with TemporaryDirectory() as folder, Derainer(arguments.model) as derain:
        source, target = Path(folder) / 'rain.mcap', Path(folder) / 'clean.mcap'
        write_bag(source, frames)
        pictures = [picture(index, HEIGHT, WIDTH) for index in range(4)]
        derain(pictures[0])  # compiles
        for _ in range(arguments.rounds):
            with measured('engine'):
                for index in range(frames):
                    derain(pictures[index % 4])
            with measured('offline'):
                outcome = derain_bag(source, target, Job(derain, arguments.jobs))
            assert (outcome.frames, outcome.problems) == (frames, [])
            target.unlink()
        engine, precision = derain.engine, derain.precision
    medians = {name: statistics.median(values) for name, values in rates.items()}
    share = medians['offline'] / medians['engine']
    print(f'{WIDTH}x{HEIGHT} JPEG, {arguments.model} on {engine} ({precision})')
    for name, rate in medians.items():
        work_ms = 1e3 * statistics.median(busy[name])
        print(f'{name:8} {rate:6.2f} frames/s {work_ms:8.1f} ms of CPU time per frame')
    print(f'share    {share:6.2f}')
    if arguments.json:
        result = medians | {'share': share, 'engine_name': engine, 'precision': precision}
        arguments.json.write_text(json.dumps(result, indent=2) + '\n')


if __name__ == '__main__':
    main()
