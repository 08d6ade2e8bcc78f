"""Plays a source through a real de-raining node, in a process of its own."""

from collections.abc import Callable, Iterator
import contextlib
import os
from pathlib import Path
import signal
import subprocess
import sys
import threading
import time

from camera import Camera, Flight
import numpy as np
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from sources import Shot, Source
from tqdm import tqdm

from derain_ros.errors import DataError, DerainError

NAMESPACE = f'/derain_demo_{os.getpid()}'  # another demo may run on this network
CONNECT_S = 30.0
SETTLE_S = 30.0
STOP_S = 20.0
# what keeps the processes of one machine from finding each other, by a value or by being set
DISCOVERY = {
    'ROS_AUTOMATIC_DISCOVERY_RANGE': 'unset it, or set it to LOCALHOST',
    'ROS_DISCOVERY_SERVER': 'start that server, or unset it',
    'ROS_STATIC_PEERS': 'unset it',
    'ROS_LOCALHOST_ONLY': 'unset it',
    'CYCLONEDDS_URI': 'unset it',
}


class NodeError(DerainError):
    """The node does not do its part; the message says what was seen of it."""


def play(source: Source, bag: Path) -> Flight:
    """
    Send a source through the node; the results go into ``bag``.

    :returns: what was seen of the frames; what is wrong with the source is its ``damage``.
    :raises DataError: no frame of the source can be shown.
    :raises NodeError: the node does not start, is not found, or ends early.
    """
    # of single images each waits for the node anyway; the first ones may be of any size
    first = next(source.shots()) if source.rate_hz else Shot(np.zeros((16, 16, 3), np.uint8))
    camera = Camera(bag, NAMESPACE, first)
    try:
        with _spinning(camera), _node(patient=source.rate_hz is None) as node:
            if not _wait(camera.connect, CONNECT_S, node):
                raise NodeError(_not_connected(camera, node))
            _show(source, camera, node)
            _wait(camera.settled, SETTLE_S, node)
            if node.poll() is not None:
                raise NodeError(
                    f'the de-raining node ended after {len(camera.flight.arrived)} of '
                    f'{source.count} frames; its own messages say why'
                )
    finally:
        camera.close()
        camera.destroy_node()
    return camera.flight


@contextlib.contextmanager
def _spinning(camera: Camera) -> Iterator[None]:
    """Receive in a thread of its own."""
    executor = SingleThreadedExecutor()
    executor.add_node(camera)

    def spin() -> None:
        with contextlib.suppress(ExternalShutdownException):
            executor.spin()

    receiver = threading.Thread(target=spin, daemon=True)
    receiver.start()
    try:
        yield
    finally:
        executor.shutdown()
        receiver.join()


@contextlib.contextmanager
def _node(*, patient: bool) -> Iterator[subprocess.Popen]:
    """Run the node; a patient one has all the time it needs for an image, unlike in a car."""
    command = [sys.executable, '-m', 'derain_ros.node', '--ros-args', '-r', f'__ns:={NAMESPACE}']
    deadline = ['-p', f'deadline:={SETTLE_S}'] if patient else []
    node = subprocess.Popen([*command, *deadline, '--log-level', 'warn'])
    try:
        yield node
    finally:
        node.send_signal(signal.SIGINT)  # one that is killed leaves its shared memory behind
        try:
            node.wait(STOP_S)
        except subprocess.TimeoutExpired:
            node.kill()
            node.wait()


def _show(source: Source, camera: Camera, node: subprocess.Popen) -> None:
    """Publish all frames, at the source's rate or one after the other, while the node lives."""
    start = time.monotonic()
    bar = tqdm(source.shots(), total=source.count, unit='frame', mininterval=1, desc=source.name)
    try:
        for index, shot in enumerate(bar):
            if source.rate_hz is not None:
                time.sleep(max(0.0, start + index / source.rate_hz - time.monotonic()))
            camera.publish(shot)
            if source.rate_hz is None:
                _wait(lambda: camera.returned.wait(1.0), SETTLE_S, node)
            if node.poll() is not None:
                return
    except DataError as error:
        if not camera.flight.sent:
            raise
        camera.flight.damage = str(error)


def _wait(condition: Callable[[], bool], seconds: float, node: subprocess.Popen) -> bool:
    """Tell whether the condition came true in time, while the node was alive."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and node.poll() is None:
        if condition():
            return True
        time.sleep(0.05)
    return False


def _not_connected(camera: Camera, node: subprocess.Popen) -> str:
    """Return what was tried for a node that de-rains nothing, and the likely cause."""
    if node.poll() is not None:
        return f'the de-raining node ended with status {node.returncode}; its own messages say why'
    tried = f'in {CONNECT_S:.0f} s no image came back from the de-raining node, which runs'
    if camera.said:
        return f'{tried} and reports: {camera.said}'
    if camera.is_seen():
        return f'{tried} and has subscribed; see its own messages, or try a smaller input'
    causes = [
        f'{name}={os.environ[name]} ({way_out})'
        for name, way_out in DISCOVERY.items()
        if os.environ.get(name)
    ]
    return f'{tried} but is not found by ROS discovery on {camera.get_namespace()}/image_raw; ' + (
        f'the likely cause: {", ".join(causes)}'
        if causes
        else 'check the firewall, and that multicast works: ros2 multicast receive'
    )
