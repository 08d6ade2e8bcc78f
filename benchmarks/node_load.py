#!/usr/bin/env python3
"""
What the node takes where it has little to do, and how late images are where it has too much.

    python3 benchmarks/node_load.py [--seconds 10] [--json FILE]

idle: nobody subscribes to the output. dry: the rain gate is closed. off: the gate is off. All
three of 1080p bgr8 at 30 fps. overload: 640x360 ten times as fast as the network.
"""

import argparse
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
import json
from pathlib import Path
import statistics
import subprocess
import sys
import time

from _process import cpu_s, private_bytes
import _root  # noqa: F401  lets this repository be imported
from diagnostic_msgs.msg import DiagnosticArray
import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data, QoSProfile
from rclpy.subscription import Subscription
from sensor_msgs.msg import Image

from derain_ros.node.handshake import counts
from derain_ros.node.transport import use_profile

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_S = 120.0
RATE_HZ, TOO_FAST = 30.0, 10

Figures = dict[str, float]


def gradient(height: int, width: int) -> Image:
    """Return a bgr8 image that is dry."""
    message = Image(height=height, width=width, step=3 * width, encoding='bgr8')
    rows, columns = np.mgrid[0:height, 0:width]
    grey = (40 + 150 * rows / height + 30 * columns / width).astype(np.uint8)
    message.data = array('B', np.dstack([grey] * 3).tobytes())
    return message


class Car:
    """A camera, a consumer, and the reports of a node in a process of its own."""

    def __init__(self, namespace: str) -> None:
        self.ros: Node = rclpy.create_node('car', namespace=namespace)
        self.camera = self.ros.create_publisher(Image, 'image_raw', qos_profile_sensor_data)
        self.ros.create_subscription(DiagnosticArray, '/diagnostics', self._note, 10)
        self.status, self._sent_at = None, [0.0]
        self.latencies_s: list[float] = []

    def _note(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.startswith(self.ros.get_namespace() + '/'):
                self.status = status

    def consume(self) -> Subscription[Image]:
        return self.ros.create_subscription(
            Image, 'image_derained', self._receive, QoSProfile(depth=5)
        )

    def _receive(self, message: Image) -> None:
        self.latencies_s.append(time.monotonic() - self._sent_at[message.header.stamp.sec])

    def drive(self, image: Image, rate_hz: float, until: Callable[[], object]) -> None:
        """
        Publish an image again and again until a condition is met.

        :raises TimeoutError: it was not met within ``PATIENCE_S``.
        """
        start, sent = time.monotonic(), 0
        while not until():
            if time.monotonic() - start > PATIENCE_S:
                raise TimeoutError(f'waited in vain; the last report was: {self.status}')
            image.header.stamp.sec = len(self._sent_at)
            self._sent_at.append(time.monotonic())
            self.camera.publish(image)
            sent += 1
            while (left_s := start + sent / rate_hz - time.monotonic()) > 0:
                rclpy.spin_once(self.ros, timeout_sec=left_s)
            rclpy.spin_once(self.ros, timeout_sec=0)

    def says(self, words: str) -> bool:
        return self.status is not None and words in self.status.message


@contextmanager
def node(*parameters: str) -> Iterator[tuple[Car, int]]:
    """Run the node; yield the car around it and its process identifier."""
    namespace = f'/load_{time.monotonic_ns()}'
    given = [word for parameter in ('engine:=openvino', *parameters) for word in ('-p', parameter)]
    process = subprocess.Popen(
        [
            *(sys.executable, '-m', 'derain_ros.node', '--ros-args', '--log-level', 'fatal'),
            *('-r', f'__ns:={namespace}', *given),
        ],
        cwd=ROOT,
    )
    car = Car(namespace)
    try:
        yield car, process.pid
    finally:
        car.ros.destroy_node()
        process.terminate()
        process.wait()


def for_seconds(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


def little_to_do(what: str, seconds: float) -> Figures:
    """Return what the node takes while it is idle, the gate is closed (dry), or off."""
    image = gradient(1080, 1920)
    words = {'idle': 'idle', 'dry': 'dry', 'off': 'switched off'}[what]
    gate = {'idle': 'always', 'dry': 'auto', 'off': "'off'"}[what]
    with node(f'gate:={gate}', 'deadline:=20.0') as (car, pid):
        if what != 'idle':
            car.consume()
        car.drive(image, RATE_HZ, lambda: car.says(words))
        car.latencies_s.clear()
        used_s, start = cpu_s(pid), time.monotonic()
        car.drive(image, RATE_HZ, for_seconds(seconds))
        used_s, took_s = cpu_s(pid) - used_s, time.monotonic() - start
    figures = {'percent_of_a_core': 100 * used_s / took_s}
    if car.latencies_s:
        figures['cpu_ms_per_image'] = 1e3 * used_s / len(car.latencies_s)
        figures['latency_ms'] = 1e3 * statistics.median(car.latencies_s)
    return figures


def overload(seconds: float) -> Figures:
    """Return how late images are at ``TOO_FAST`` times the rate that the network can keep."""
    image = gradient(360, 640)
    with node('deadline:=20.0') as (car, pid):
        car.consume()
        car.drive(image, 2.0, lambda: len(car.latencies_s) > 10)
        alone_s = statistics.median(car.latencies_s[-5:])
        car.drive(image, TOO_FAST / alone_s, for_seconds(seconds / 2))
        memory, car.latencies_s = private_bytes(pid), []
        car.drive(image, TOO_FAST / alone_s, for_seconds(seconds))
        grown, car.status = private_bytes(pid) - memory, None
        car.drive(image, 0.5, lambda: car.status is not None)
        counted = counts(car.status)
    return {
        'alone_ms': 1e3 * alone_s,
        'median_times_alone': statistics.median(car.latencies_s) / alone_s,
        'p95_times_alone': float(np.quantile(car.latencies_s, 0.95)) / alone_s,
        'images_per_s': len(car.latencies_s) / seconds,
        'memory_grown_mb': grown / 2**20,
        'images_without_a_fate': counted['received'] * 2 - counted.total(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('--seconds', type=float, default=10.0, help='of each measurement')
    parser.add_argument('--json', type=Path, help='also write the figures to this file')
    arguments = parser.parse_args()
    use_profile(ROOT / 'config' / 'fastdds_shm.xml')
    rclpy.init()
    figures = {what: little_to_do(what, arguments.seconds) for what in ('idle', 'dry', 'off')}
    figures['overload'] = overload(arguments.seconds)
    rclpy.try_shutdown()
    for name, row in figures.items():
        print(f'  {name:<9}', *(f'{key} {value:.2f}' for key, value in row.items()), sep='  ')
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + '\n')


if __name__ == '__main__':
    main()
