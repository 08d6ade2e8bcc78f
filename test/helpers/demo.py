"""The demo as a user runs it, and what it is shown."""

from collections.abc import Iterator
import contextlib
import os
from pathlib import Path
import signal
import subprocess
import sys

import cv2
import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import get_typestore, Stores

from helpers.data import ROOT

TYPES = get_typestore(Stores.ROS2_HUMBLE)
PATIENCE = 120


@contextlib.contextmanager
def started(out: Path, *arguments: object, **environment: str) -> Iterator[subprocess.Popen]:
    """Start the demo; what is left of it at the end is interrupted, which ends its node too."""
    process = subprocess.Popen(
        [sys.executable, ROOT / 'demo' / 'demo.py', '--out', out, *map(str, arguments)],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {'PYTHONPATH': str(ROOT)} | environment,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)


def demo(out: Path, *arguments: object, **environment: str) -> subprocess.CompletedProcess:
    """Run the demo to its end."""
    with started(out, *arguments, **environment) as process:
        output, errors = process.communicate(timeout=PATIENCE)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def write_bag(
    path: Path,
    street: np.ndarray,
    frames: int = 6,
    broken: bool = False,
    storage: StoragePlugin = StoragePlugin.MCAP,
    period_ns: int = 10**8,
) -> None:
    """Write a bag of 10 fps with one raw and one JPEG topic; broken: cut the last of each."""
    image, compressed, header, time = (
        TYPES.types[name]
        for name in (
            'sensor_msgs/msg/Image',
            'sensor_msgs/msg/CompressedImage',
            'std_msgs/msg/Header',
            'builtin_interfaces/msg/Time',
        )
    )
    jpeg = cv2.imencode('.jpg', street)[1].ravel()
    height, width, _ = street.shape
    with Writer(path, version=9, storage_plugin=storage) as bag:
        raw = bag.add_connection('/front/image_raw', image.__msgtype__, typestore=TYPES)
        small = bag.add_connection('/rear/compressed', compressed.__msgtype__, typestore=TYPES)
        for index in range(frames):
            stamp, head = index * period_ns, header(time(0, index), 'camera')
            message = image(head, height, width, 'rgb8', 0, 3 * width, street.ravel())
            cut = broken and index == frames - 1
            data = TYPES.serialize_cdr(message, image.__msgtype__)
            bag.write(raw, stamp, data[:40] if cut else data)
            message = compressed(head, 'jpeg', jpeg[:10] if cut else jpeg)
            bag.write(small, stamp, TYPES.serialize_cdr(message, compressed.__msgtype__))
