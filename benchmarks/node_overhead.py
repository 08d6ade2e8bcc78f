#!/usr/bin/env python3
"""
What the node costs beside the network: 1080p at 30 fps between two processes; medians.

The engine is replaced by a copy. The same is measured without the shared-memory profile.

    python3 benchmarks/node_overhead.py [--frames 150] [--json FILE]
"""

import argparse
from array import array
from collections.abc import Callable
import json
import os
from pathlib import Path
import statistics
import subprocess
import sys
import time

import _root  # noqa: F401  lets this repository be imported
import numpy as np
import rclpy
from rclpy.qos import qos_profile_sensor_data, QoSProfile
from sensor_msgs.msg import Image

from derain_ros.node.__main__ import main as run_node
from derain_ros.node.transport import profile_variable

PROFILE = Path(__file__).resolve().parents[1] / 'config' / 'fastdds_shm.xml'
HEIGHT, WIDTH, RATE = 1080, 1920, 30.0
NAMESPACE = '/node_overhead'
WARM_UP = 10


class CopyEngine:
    """Copies; notes the CPU seconds used from one copy to the next, by its thread and by all."""

    name, precision, problem = 'copy', 'u8', ''

    def __init__(self) -> None:
        self.used: list[np.ndarray] = []
        self._copied = cpu_seconds()

    def infer(
        self, frames: np.ndarray, out: np.ndarray, order: str, timeout: float | None = None
    ) -> None:
        self.used.append(cpu_seconds() - self._copied)
        np.copyto(out, frames)
        self._copied = cpu_seconds()

    def close(self) -> None:
        pass


def cpu_seconds() -> np.ndarray:
    """Return the CPU seconds used by this thread and by the whole process."""
    return np.array([time.thread_time(), time.process_time()])


def node() -> None:
    """Run the node with the copying engine until a signal; print median CPU ms per frame."""
    engine = CopyEngine()
    run_node(engine, sys.argv[2:])
    used = engine.used[WARM_UP:]
    own, process = (np.median(used, axis=0) * 1e3).round(2).tolist() if used else (None, None)
    # own: read, prepare, finish and publish; process: reception by DDS and rclpy as well
    print(json.dumps({'own_cpu_ms': own, 'process_cpu_ms': process}))


def black_image() -> Image:
    message = Image(height=HEIGHT, width=WIDTH, step=3 * WIDTH, encoding='bgr8')
    message.data = array('B', bytes(3 * WIDTH * HEIGHT))
    return message


def stack(frames: int) -> None:
    """Run camera and consumer; print how many frames were sent and came back, and latencies."""
    rclpy.init()
    ros = rclpy.create_node('stack', namespace=NAMESPACE)
    camera = ros.create_publisher(Image, 'image_raw', qos_profile_sensor_data)
    latencies: dict[int, float] = {}

    def receive(message: Image) -> None:
        stamp = message.header.stamp.sec
        latencies[stamp] = time.monotonic() - sent[stamp]

    ros.create_subscription(Image, 'image_derained', receive, QoSProfile(depth=5))
    message = black_image()
    sent: list[float] = []

    def spin_until(condition: Callable[[], object], end: float) -> None:
        while not condition() and (left := end - time.monotonic()) > 0:
            rclpy.spin_once(ros, timeout_sec=left)

    def publish() -> None:
        message.header.stamp.sec = len(sent)
        sent.append(time.monotonic())
        camera.publish(message)

    deadline = time.monotonic() + 30
    while not latencies and time.monotonic() < deadline:
        publish()
        spin_until(lambda: latencies, time.monotonic() + 0.2)
    first, start = len(sent), time.monotonic()
    for index in range(frames):
        publish()
        spin_until(lambda: False, start + (index + 1) / RATE)
    spin_until(lambda: False, time.monotonic() + 1)
    came = [latency for stamp, latency in latencies.items() if stamp >= first]
    median_ms = round(statistics.median(came) * 1e3, 1) if came else None
    print(json.dumps({'sent': frames, 'arrived': len(came), 'latency_ms': median_ms}))


def measure(frames: int, profile: Path | None) -> dict[str, float]:
    """Run both processes, with or without the profile."""
    environment = {key: value for key, value in os.environ.items() if key != profile_variable()}
    if profile is not None:
        environment[profile_variable()] = str(profile)
    command = [sys.executable, __file__]
    running = subprocess.Popen(
        [*command, 'node', '--ros-args', '-r', f'__ns:={NAMESPACE}', '--log-level', 'error'],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        outcome = json.loads(
            subprocess.run(
                [*command, 'stack', '--frames', str(frames)],
                env=environment,
                check=True,
                stdout=subprocess.PIPE,
                text=True,
            ).stdout
        )
    finally:
        running.terminate()
        cpu = json.loads(running.communicate()[0])
    return {
        'arrived_percent': round(100 * outcome['arrived'] / outcome['sent'], 1),
        'latency_ms': outcome['latency_ms'],
        **cpu,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('part', nargs='?', choices=['node', 'stack'], help=argparse.SUPPRESS)
    parser.add_argument('--frames', type=int, default=150, help='frames to send at 30 fps')
    parser.add_argument('--json', type=Path, help='also write the figures to this file')
    arguments, _ = parser.parse_known_args()
    if arguments.part == 'node':
        return node()
    if arguments.part == 'stack':
        return stack(arguments.frames)
    figures = {
        name: measure(arguments.frames, profile)
        for name, profile in (('with the profile', PROFILE), ('without', None))
    }
    print(f'{arguments.frames} frames of {WIDTH}x{HEIGHT} bgr8 at {RATE:.0f} fps')
    for name, row in figures.items():
        print(f'  {name:<17}', *(f'{key} {value}' for key, value in row.items()), sep='  ')
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + '\n')
    return None


if __name__ == '__main__':
    main()
