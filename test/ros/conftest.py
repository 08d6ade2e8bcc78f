"""The node in a process of its own, and the stack around it."""

from collections.abc import Callable, Iterator
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

from helpers.data import ROOT
from helpers.stack import Stack
import pytest
import rclpy

from derain_ros.node.transport import use_profile


@pytest.fixture(scope='module')
def ros() -> Iterator[None]:
    """Let this process speak ROS, over shared memory."""
    use_profile(ROOT / 'config' / 'fastdds_shm.xml')
    rclpy.init()
    yield
    rclpy.try_shutdown()


@pytest.fixture
def stack(ros: None) -> Iterator['Stack']:
    """Return a stack in a namespace of its own."""
    from helpers.stack import Stack

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

    def start(
        *arguments: str,
        program: tuple = ('-m', 'derain_ros.node'),
        patience: tuple = ('-p', 'deadline:=20.0'),
    ) -> subprocess.Popen:
        log = tmp_path / f'node{len(processes)}.log'
        process = subprocess.Popen(
            [
                *(sys.executable, *program, '--ros-args', *patience),
                *('-r', f'__ns:={stack.get_namespace()}', *arguments),
            ],
            stdout=log.open('w'),
            stderr=subprocess.STDOUT,
            cwd=ROOT,
        )
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


ENGINE = """
import time
import numpy as np
from helpers.stack import Copy
from derain_ros.node.__main__ import main

class Engine(Copy):
    def infer(self, frames, out, order, timeout=None):
        {what}

main(Engine())
"""


@pytest.fixture
def start_with(
    start: Callable[..., subprocess.Popen], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., subprocess.Popen]:
    """Start the node with an engine that does the given."""
    monkeypatch.setenv('PYTHONPATH', f'{ROOT / "test"}:{ROOT}')

    def start_with(what: str, *arguments: str) -> subprocess.Popen:
        return start(*arguments, program=('-c', ENGINE.format(what=what)), patience=())

    return start_with
