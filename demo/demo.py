#!/usr/bin/env python3
"""
Play a source as a camera through a real de-raining node, and show what comes out.

    make demo [INPUT=FOLDER|VIDEO|BAG] [TOPIC=TOPIC]

Where derain_ros is installed, ``python3 demo/demo.py --help`` says what else there is.
"""

import argparse
from collections.abc import Callable, Iterator
import contextlib
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys
import threading
import time

import _root  # noqa: F401  lets this repository be imported
from camera import Camera, Flight
import cv2
import numpy as np
from pictures import ROWS, write_sheet, write_video
import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rosbags.highlevel import AnyReader
from sources import open_source, Shot, Source
from tqdm import tqdm

from derain_ros.errors import DataError, DerainError
from derain_ros.files import write_json
from derain_ros.image import raw as images
from derain_ros.node.transport import use_profile

ROOT = Path(__file__).resolve().parents[1]
NAMESPACE = f'/derain_demo_{os.getpid()}'  # another demo may run on this network
CONNECT_SECONDS = 30
SETTLE_SECONDS = 30
PRODUCTS = BAG, SHEET, VIDEO, REPORT = (
    'derained_bag',
    'before_after.png',
    'demo.mp4',
    'report.json',
)


class NodeError(DerainError):
    """The node does not do its part; why is in its own messages."""


def play(source: Source, bag: Path) -> Flight:
    """Send a source through the node, in a process of its own; the results go into ``bag``."""
    first = next(source.shots()) if source.rate else Shot(np.zeros((16, 16, 3), np.uint8))
    camera = Camera(bag, NAMESPACE)
    executor = SingleThreadedExecutor()
    executor.add_node(camera)
    receiver = threading.Thread(target=_spin, args=[executor], daemon=True)
    receiver.start()
    # single images have all the time they need; what a car waits for is no matter here
    patience = [] if source.rate else ['-p', f'deadline:={float(SETTLE_SECONDS)}']
    node = subprocess.Popen(
        [
            sys.executable,
            '-m',
            'derain_ros.node',
            '--ros-args',
            *patience,
            '-r',
            f'__ns:={NAMESPACE}',
            '--log-level',
            'warn',
        ]
    )
    try:
        if not _wait(lambda: camera.connect(first), CONNECT_SECONDS, node):
            raise NodeError('the de-raining node did not start; its own messages say why')
        _show(source, camera, node)
        _wait(camera.settled, SETTLE_SECONDS, node)
        if node.poll() is not None:
            raise NodeError(
                f'the de-raining node ended after {len(camera.flight.arrived)} of '
                f'{source.count} frames; its own messages say why'
            )
    finally:
        node.send_signal(signal.SIGINT)
        node.wait()
        executor.shutdown()
        receiver.join()
        camera.close()
        camera.destroy_node()
    return camera.flight


def _show(source: Source, camera: Camera, node: subprocess.Popen) -> None:
    """Publish all frames, at the source's rate or one after the other, while the node lives."""
    start = time.monotonic()
    bar = tqdm(source.shots(), total=source.count, unit='frame', mininterval=1, desc=source.name)
    for index, shot in enumerate(bar):
        if source.rate is not None:
            time.sleep(max(0.0, start + index / source.rate - time.monotonic()))
        camera.publish(shot)
        if source.rate is None:
            _wait(lambda: camera.returned.wait(1.0), SETTLE_SECONDS, node)
        if node.poll() is not None:
            return


def _spin(executor: SingleThreadedExecutor) -> None:
    with contextlib.suppress(ExternalShutdownException):
        executor.spin()


def _wait(condition: Callable[[], bool], seconds: float, node: subprocess.Popen) -> bool:
    """Tell whether the condition came true in time, while the node was alive."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and node.poll() is None:
        if condition():
            return True
        time.sleep(0.05)
    return False


def before_after(source: Source, flight: Flight, bag: Path) -> Iterator[tuple]:
    """Match what the bag holds with what was sent, by stamp: (before, after, clean or None)."""
    with AnyReader([bag]) as reader:
        recorded = reader.messages()
        stamp, after = _next(reader, recorded)
        for sent, shot in zip(flight.sent, source.shots()):
            if sent == stamp:
                yield shot.rainy, after, shot.clean
                stamp, after = _next(reader, recorded)


def _next(reader: AnyReader, recorded: Iterator) -> tuple[int | None, np.ndarray | None]:
    for connection, _, data in recorded:
        message = reader.deserialize(data, connection.msgtype)
        stamp = message.header.stamp
        return stamp.sec * 10**9 + stamp.nanosec, images.read(message).pixels
    return None, None


def report(flight: Flight, scores: list[tuple[float, float]]) -> dict:
    """Sum up: counts, latency from header stamp to arrival, rate, and PSNR (RGB, in dB)."""
    latency = np.array([arrival - stamp for stamp, arrival in flight.arrived.items()]) / 1e6
    arrivals = sorted(flight.arrived.values())
    replaced = flight.count('replaced')
    before, after = np.mean(scores, axis=0).round(2).tolist() if scores else (None, None)
    return {
        'frames_sent': len(flight.sent),
        'frames_received': len(flight.arrived),
        'frames_replaced': replaced,
        'frames_passed_through': flight.count('passed_through'),
        'frames_lost': len(flight.sent) - len(flight.arrived) - replaced,
        'latency_ms': {f'p{q}': round(float(np.percentile(latency, q)), 1) for q in (50, 95, 99)},
        'fps': round((len(arrivals) - 1) * 1e9 / (arrivals[-1] - arrivals[0]), 2)
        if len(arrivals) > 1
        else None,
        'psnr_before': before,
        'psnr_after': after,
        'engine': flight.engine,
        'precision': flight.precision,
    }


def check_apart(path: Path, out: Path) -> None:
    """
    Check that the demo will not replace its own input.

    :raises DataError: it would.
    """
    path = path.resolve()
    if path == out.resolve():
        raise DataError(
            f'{path}: is where the demo writes, and would be shown its own pictures; move it'
        )
    if {(out / name).resolve() for name in PRODUCTS} & {path, *path.parents}:
        raise DataError(f'{path}: would be replaced by what the demo writes; move it')


def run(source: Source, out: Path) -> dict:
    """Run the demo into a folder; what an earlier run left there is replaced."""
    bag = out / BAG
    shutil.rmtree(bag, ignore_errors=True)
    for name in (SHEET, VIDEO, REPORT):
        (out / name).unlink(missing_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    flight = play(source, bag)
    if not flight.arrived:
        raise NodeError('no frame came back from the node; its own messages say why')

    scores, sheet = [], []
    shown = set(np.linspace(0, len(flight.arrived) - 1, ROWS + 2).round().astype(int)[1:-1])

    def pairs() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for index, (before, after, clean) in enumerate(before_after(source, flight, bag)):
            if clean is not None:
                scores.append((cv2.PSNR(before, clean), cv2.PSNR(after, clean)))
            if index in shown:
                sheet.append((before, after))
            yield before, after

    bar = tqdm(pairs(), total=len(flight.arrived), unit='frame', mininterval=1, desc='pictures')
    write_video(bar, source.rate or 2.0, out / VIDEO)
    write_sheet(sheet, out / SHEET)
    result = report(flight, scores)
    write_json(out / REPORT, result)
    return result


def print_table(result: dict, out: Path) -> None:
    flat = {key: value for key, value in result.items() if not isinstance(value, dict)}
    flat |= {f'latency_ms {key}': value for key, value in result['latency_ms'].items()}
    width = max(map(len, flat))
    for key, value in flat.items():
        print(f'  {key:<{width}}  {"-" if value is None else value}')
    print(f'\nSee {out / SHEET}, {out / VIDEO} and {out / BAG}')


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument(
        '--input',
        type=Path,
        help='folder of images, video or rosbag; default: the shipped clip in synthetic rain',
    )
    parser.add_argument('--topic', help='image topic of the rosbag')
    parser.add_argument('--out', type=Path, default=Path('demo_out'), help='where results go')
    arguments = parser.parse_args()
    use_profile(ROOT / 'config' / 'fastdds_shm.xml')
    rclpy.init()
    try:
        if arguments.input:
            check_apart(arguments.input, arguments.out)
        result = run(open_source(arguments.input, arguments.topic), arguments.out)
    except (DerainError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    finally:
        rclpy.try_shutdown()
    print_table(result, arguments.out)
    return 0


if __name__ == '__main__':
    sys.exit(main())
