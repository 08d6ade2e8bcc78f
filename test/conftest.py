"""What several tests share: the research data, where it is there, pictures, and a node."""
from collections.abc import Callable, Iterator
from importlib.util import find_spec
import os
from pathlib import Path
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from stack import Stack

ROOT = Path(__file__).resolve().parents[1]
# of the photographs that tests put into bags
SHADES = list(range(0, 240, 10))
DATA = Path(os.environ.get('DERAIN_DATA', ROOT.parent / 'shared' / 'data'))

if not all(map(find_spec, ('cv2', 'rclpy', 'rosbags', 'torch'))):
    pytest.exit('the tests need more than the car: pip install -r requirements/test.txt, beside '
                'ROS with -c requirements/constraints-ros.txt, and without ROS '
                '-r requirements/ros.txt', returncode=2)


def data_folder(name: str) -> Path:
    """Give a folder of the research data, or skip the test, naming what is missing."""
    folder = DATA / name
    if not folder.exists():
        pytest.skip(f'research data missing: {folder} (set DERAIN_DATA)')
    return folder


@pytest.fixture
def street() -> np.ndarray:
    """Give a deterministic colourful uint8 picture [H, W, 3] of an odd size, with saturation."""
    rows, columns = np.mgrid[0:93, 0:141].astype(np.float32)
    channels = [128 + 140 * np.sin(rows / a + columns / b) for a, b in ((9, 14), (17, 6), (5, 31))]
    noise = np.random.default_rng(0).normal(0, 12, (93, 141, 3))
    return np.clip(np.stack(channels, axis=-1) + noise, 0, 255).astype(np.uint8)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Give a folder of 24 noisy images, each brighter by ten than the one before."""
    import cv2
    rng = np.random.default_rng(0)
    for index, shade in enumerate(SHADES):
        noise = rng.integers(-5, 6, (160, 240, 3)) * (1, 0, -1)
        image = np.clip(noise + shade, 0, 255).astype(np.uint8)
        path = tmp_path / 'photos' / f'{index:03}.jpg'
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
    return tmp_path / 'photos'


@pytest.fixture(scope='module')
def ros() -> Iterator[None]:
    """Let this process speak ROS, over shared memory."""
    import rclpy

    from derain_ros.transport import use_profile
    use_profile(ROOT / 'config' / 'fastdds_shm.xml')
    rclpy.init()
    yield
    rclpy.try_shutdown()


@pytest.fixture
def stack(ros: None) -> Iterator['Stack']:
    """Give a stack in a namespace of its own."""
    from stack import Stack
    stack = Stack(f'/test_{os.getpid()}_{time.monotonic_ns()}')
    yield stack
    stack.destroy_node()


@pytest.fixture
def start(stack: 'Stack', tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen]]:
    """
    Start the node in a process of its own; what it logs is in ``log`` of the process.

    A slow machine may compile the network for seconds, within the first image's deadline.
    """
    processes = []

    def start(*arguments: str, program: tuple = ('-m', 'derain_ros.node'),
              patience: tuple = ('-p', 'deadline:=20.0')) -> subprocess.Popen:
        log = tmp_path / f'node{len(processes)}.log'
        process = subprocess.Popen(
            [sys.executable, *program, '--ros-args', *patience,
             '-r', f'__ns:={stack.get_namespace()}', *arguments],
            stdout=log.open('w'), stderr=subprocess.STDOUT, cwd=ROOT)
        process.log = log
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.send_signal(signal.SIGINT)  # one that is killed leaves its shared memory behind
    try:
        for process in processes:
            process.wait(timeout=20)
    finally:
        for process in processes:
            process.kill()
