#!/usr/bin/env python3
"""
Several cameras in one node against a node for each of them.

    python3 benchmarks/cameras.py [--cameras 1 2 4 6] [--rounds 3] [--json FILE]

Every camera publishes 640x360 faster than the CPU de-rains it, so that the rate which comes back
is the most that is possible. The layouts take turns, so that a busy machine slows all of them;
medians over rounds.
"""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
import json
from pathlib import Path
import statistics
import subprocess
import sys
import time

from _images import noise
from _process import cpu_s, pss_bytes
import _root  # noqa: F401  lets this repository be imported
import rclpy
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data, QoSProfile
from sensor_msgs.msg import Image

from derain_ros.node.transport import use_profile

ROOT = Path(__file__).resolve().parents[1]
HEIGHT, WIDTH = 360, 640
RATE_HZ, WINDOW_S, START_S = 20.0, 6.0, 180.0
DEADLINE_S = 20.0  # all frames are de-rained, on a slow machine too

Row = dict[str, float]


class Cameras:
    """Publishes the images of all cameras at ``RATE_HZ`` and counts what comes back."""

    def __init__(self, namespace: str, names: list[str]) -> None:
        self._ros: Node = rclpy.create_node('cameras', namespace=namespace)
        self._message = noise(HEIGHT, WIDTH)
        self._publishers = []
        self.came = dict.fromkeys(names, 0)
        for name in names:
            self._publishers.append(
                self._ros.create_publisher(Image, f'{name}/image_raw', qos_profile_sensor_data)
            )
            self._ros.create_subscription(
                Image,
                f'{name}/image_derained',
                lambda _, name=name: self._count(name),
                QoSProfile(depth=5),
            )

    def _count(self, name: str) -> None:
        self.came[name] += 1

    def publish(self) -> None:
        """Publish one image of each camera, and take what comes until the next ones are due."""
        due = time.monotonic() + 1 / RATE_HZ
        for publisher in self._publishers:
            publisher.publish(self._message)
        while (left_s := due - time.monotonic()) > 0:
            rclpy.spin_once(self._ros, timeout_sec=left_s)

    def close(self) -> None:
        self._ros.destroy_node()


@contextmanager
def nodes(namespace: str, names: list[str], is_shared: bool) -> Iterator[list[int]]:
    """Run one node for all cameras, or one for each; yield the process identifiers."""
    groups = [names] if is_shared else [[name] for name in names]
    running = [
        subprocess.Popen(
            [
                *(sys.executable, '-m', 'derain_ros.node', '--ros-args', '--log-level', 'fatal'),
                *('-p', 'engine:=openvino', '-p', f'deadline:={DEADLINE_S}'),
                *('-p', f'cameras:=[{", ".join(group)}]'),
                *('-r', f'__ns:={namespace}', '-r', f'__node:=derain_{group[0]}'),
            ],
            cwd=ROOT,
        )
        for group in groups
    ]
    try:
        yield [process.pid for process in running]
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait()


def measure(count: int, is_shared: bool) -> Row:
    """
    Return what a layout reaches, and what it takes.

    :raises TimeoutError: a camera got nothing back within ``START_S``.
    """
    namespace = f'/cameras_{time.monotonic_ns()}'
    names = [f'camera{index}' for index in range(count)]
    cameras = Cameras(namespace, names)
    with nodes(namespace, names, is_shared) as pids:
        end = time.monotonic() + START_S
        while not all(cameras.came.values()):
            cameras.publish()
            if time.monotonic() > end:
                raise TimeoutError(f'{count} cameras: no image came back within {START_S:.0f} s')
        before, used_s, start = dict(cameras.came), sum(map(cpu_s, pids)), time.monotonic()
        while time.monotonic() < start + WINDOW_S:
            cameras.publish()
        seconds, used_s = time.monotonic() - start, sum(map(cpu_s, pids)) - used_s
        pss = sum(map(pss_bytes, pids))
    cameras.close()
    came = [cameras.came[name] - before[name] for name in names]
    return {
        'frames_per_s': sum(came) / seconds,
        'slowest_camera_per_s': min(came) / seconds,
        'cpu_ms_per_frame': used_s / max(1, sum(came)) * 1e3,
        'memory_mb': pss / 2**20,
    }


def compare_layouts(counts: list[int], rounds: int) -> dict[str, Row]:
    """Return the medians of both layouts at each number of cameras."""
    layouts = [(count, shared) for count in counts for shared in (True, False)]
    layouts.remove((1, False))  # the same as one node
    rows: dict[tuple[int, bool], list[Row]] = {layout: [] for layout in layouts}
    for _ in range(rounds):
        for layout in layouts:
            rows[layout].append(measure(*layout))
    return {
        f'{count} in {"one node" if shared or count == 1 else f"{count} nodes"}': {
            key: statistics.median(row[key] for row in rows[count, shared])
            for key in rows[count, shared][0]
        }
        for count, shared in layouts
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('--cameras', type=int, nargs='+', default=[1, 2, 4, 6])
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--json', type=Path, help='also write the figures to this file')
    arguments = parser.parse_args()
    use_profile(ROOT / 'config' / 'fastdds_shm.xml')
    rclpy.init()
    figures = compare_layouts(arguments.cameras, arguments.rounds)
    rclpy.try_shutdown()
    print(f'cameras of {WIDTH}x{HEIGHT} bgr8, {RATE_HZ:.0f} fps each')
    for name, row in figures.items():
        print(f'  {name:<13}', *(f'{key} {value:.1f}' for key, value in row.items()), sep='  ')
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + '\n')


if __name__ == '__main__':
    main()
