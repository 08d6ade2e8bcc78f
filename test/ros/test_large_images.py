"""Images of 12, 24 and 33 megapixels through the node, over the profile that is meant for them."""

import os
from pathlib import Path
import shutil
import subprocess
import sys
import time

from helpers.data import ROOT
import pytest

from derain_ros.node.transport import profile_variable

SHARED_MEMORY = Path('/dev/shm')
NODE = """
from helpers.stack import Copy
from derain_ros.node.__main__ import main

main(Copy())
"""
# the first one has to arrive: a photograph is not sent twice
STACK = """
import sys
import rclpy
from helpers.stack import image, Stack

rclpy.init()
stack = Stack(sys.argv[1])
stack.connect()
sent = image(int(sys.argv[2]), int(sys.argv[3]))
for number in range(3):
    sent.header.stamp.sec = number
    assert stack.send(sent) == sent, number
"""


@pytest.mark.parametrize(
    'height, width, profile, segment_bytes',
    [
        (3024, 4032, 'fastdds_shm.xml', 2**26),
        (4000, 6000, 'fastdds_shm_large.xml', 2**28),
        (4320, 7680, 'fastdds_shm_large.xml', 2**28),
    ],
)
def test_every_large_image_comes_back(monkeypatch, height, width, profile, segment_bytes):
    free_bytes = shutil.disk_usage(SHARED_MEMORY).free if SHARED_MEMORY.exists() else 0
    if free_bytes < 2 * segment_bytes + 2**24:
        pytest.skip(f'{SHARED_MEMORY} has {free_bytes / 2**20:.0f} MB, too few for {profile}')
    monkeypatch.setenv(profile_variable(), str(ROOT / 'config' / profile))
    monkeypatch.setenv('PYTHONPATH', f'{ROOT / "test"}:{ROOT}')
    namespace = f'/large_{os.getpid()}_{time.monotonic_ns()}'
    node = subprocess.Popen(
        [
            *(sys.executable, '-c', NODE, '--ros-args', '--log-level', 'error'),
            *('-r', f'__ns:={namespace}', '-p', 'deadline:=20.0'),
        ]
    )
    try:
        subprocess.run(
            [sys.executable, '-c', STACK, namespace, str(height), str(width)],
            check=True,
            timeout=120,
        )
    finally:
        node.terminate()
        node.wait(timeout=30)
