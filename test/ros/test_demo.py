"""The demo, as `make demo INPUT=…` runs it: real processes, real DDS, real files."""

from collections.abc import Iterator
import contextlib
import json
import os
from pathlib import Path
import re
import signal
import subprocess
import sys

import cv2
from helpers.bags import forget_definitions
from helpers.data import data_folder, ROOT
import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import get_typestore, Stores
from sources import clip, DataError, open_source

KEYS = {
    'frames_sent',
    'frames_received',
    'frames_replaced',
    'frames_passed_through',
    'frames_lost',
    'latency_ms',
    'fps',
    'psnr_before',
    'psnr_after',
    'engine',
    'precision',
}
TYPES = get_typestore(Stores.ROS2_HUMBLE)


PATIENCE = 120


@contextlib.contextmanager
def started(out: Path, *arguments: object) -> Iterator[subprocess.Popen]:
    """Start the demo; what is left of it at the end is interrupted, which ends its node too."""
    process = subprocess.Popen(
        [sys.executable, ROOT / 'demo' / 'demo.py', '--out', out, *map(str, arguments)],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {'PYTHONPATH': str(ROOT)},
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)


def demo(out: Path, *arguments: object) -> subprocess.CompletedProcess:
    with started(out, *arguments) as process:
        output, errors = process.communicate(timeout=PATIENCE)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def write_bag(
    path: Path,
    street: np.ndarray,
    frames: int = 6,
    broken: bool = False,
    storage: StoragePlugin = StoragePlugin.MCAP,
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
            stamp, head = index * 10**8, header(time(0, index * 10**8), 'camera')
            message = image(head, height, width, 'rgb8', 0, 3 * width, street.ravel())
            cut = broken and index == frames - 1
            data = TYPES.serialize_cdr(message, image.__msgtype__)
            bag.write(raw, stamp, data[:40] if cut else data)
            message = compressed(head, 'jpeg', jpeg[:10] if cut else jpeg)
            bag.write(small, stamp, TYPES.serialize_cdr(message, compressed.__msgtype__))


def test_a_folder_of_photographs_of_any_size(tmp_path, street):
    photographs, out = tmp_path / 'photographs', tmp_path / 'out'
    photographs.mkdir()
    for number, size in enumerate([(93, 141), (60, 80), (32, 32), (8, 8)], start=1):
        cv2.imwrite(str(photographs / f'{number}.png'), street[: size[0], : size[1]])
    finished = demo(out, '--input', photographs)
    assert finished.returncode == 0, finished.stderr
    report = json.loads((out / 'report.json').read_text())
    assert report.keys() >= KEYS
    assert (report['frames_sent'], report['frames_received'], report['frames_lost']) == (4, 4, 0)
    assert report['frames_passed_through'] == 1, 'the last is too small to be de-rained'
    assert report['psnr_before'] is report['psnr_after'] is None
    assert 'frames_received  ' in finished.stdout
    with AnyReader([out / 'derained_bag']) as bag:
        sizes = [
            (message.height, message.width)
            for message in (
                bag.deserialize(data, connection.msgtype) for connection, _, data in bag.messages()
            )
        ]
    assert sizes == [(93, 141), (60, 80), (32, 32), (8, 8)]
    assert cv2.imread(str(out / 'before_after.png')) is not None
    assert cv2.VideoCapture(str(out / 'demo.mp4')).get(cv2.CAP_PROP_FRAME_COUNT) == 4


def test_a_photograph_that_was_cut_short_is_named(tmp_path, street):
    """OpenCV would fill it up in grey."""
    jpeg = cv2.imencode('.jpg', street)[1].tobytes()
    (tmp_path / '1.jpg').write_bytes(jpeg)
    (tmp_path / '02.jpg').write_bytes(jpeg[: len(jpeg) // 2])
    shots = open_source(tmp_path, None).shots()
    assert next(shots).rainy.shape == street.shape
    with pytest.raises(DataError, match=r'02\.jpg: not a readable image'):
        next(shots)


@pytest.mark.parametrize('topic', ['/front/image_raw', '/rear/compressed'])
def test_a_rosbag_is_played_to_its_end(tmp_path, street, topic):
    write_bag(tmp_path / 'recorded', street)
    out = tmp_path / 'out'
    finished = demo(out, '--input', tmp_path / 'recorded', '--topic', topic)
    assert finished.returncode == 0, finished.stderr
    report = json.loads((out / 'report.json').read_text())
    assert (report['frames_sent'], report['frames_lost']) == (6, 0)
    assert report['frames_received'] + report['frames_replaced'] == 6
    assert set(report['latency_ms']) == {'p50', 'p95', 'p99'}


def test_a_rosbag_of_humble_is_played(tmp_path, street):
    write_bag(tmp_path / 'recorded', street, storage=StoragePlugin.SQLITE3)
    forget_definitions(tmp_path / 'recorded' / 'recorded.db3')
    shots = list(open_source(tmp_path / 'recorded', '/front/image_raw').shots())
    assert len(shots) == 6
    assert np.array_equal(shots[0].rainy, street[..., ::-1])


def test_a_rosbag_is_played_at_the_rate_of_its_images(tmp_path, street):
    write_bag(tmp_path / 'recorded', street)
    assert open_source(tmp_path / 'recorded', '/front/image_raw').rate == 10


def test_a_video_is_shown_at_its_rate(tmp_path, street):
    writer = cv2.VideoWriter(
        str(tmp_path / 'drive.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 10, (140, 92)
    )
    for _ in range(5):
        writer.write(street[:92, :140])
    writer.release()
    finished = demo(tmp_path / 'out', '--input', tmp_path / 'drive.avi')
    assert finished.returncode == 0, finished.stderr
    report = json.loads((tmp_path / 'out' / 'report.json').read_text())
    assert (report['frames_sent'], report['frames_lost']) == (5, 0)


def test_the_users_own_files_are_never_replaced(tmp_path, street):
    write_bag(tmp_path / 'derained_bag', street)
    finished = demo(tmp_path, '--input', tmp_path / 'derained_bag', '--topic', '/front/image_raw')
    assert finished.returncode == 2
    assert f'error: {tmp_path / "derained_bag"}: would be replaced' in finished.stderr
    assert (tmp_path / 'derained_bag' / 'derained_bag.mcap').exists()


def test_the_folder_that_is_written_to_is_not_shown(tmp_path, street):
    cv2.imwrite(str(tmp_path / 'before_after.png'), street)
    finished = demo(tmp_path, '--input', tmp_path)
    assert finished.returncode == 2
    assert f'error: {tmp_path}: is where the demo writes' in finished.stderr
    assert (tmp_path / 'before_after.png').exists()


def test_a_node_that_is_killed_ends_the_demo(tmp_path, street):
    photographs = tmp_path / 'photographs'
    photographs.mkdir()
    large = cv2.resize(street, (1920, 1080))
    cv2.imwrite(str(photographs / '0.bmp'), large)
    for number in range(1, 200):
        (photographs / f'{number}.bmp').symlink_to(photographs / '0.bmp')
    others = set(Path('/dev/shm').iterdir())
    with started(tmp_path / 'out', '--input', photographs) as process:
        said = ''
        while not re.search(r'[1-9]\d*/200', said):
            character = process.stderr.read(1)
            assert character, f'the demo ended: {said}'
            said += character
        node = Path(f'/proc/{process.pid}/task/{process.pid}/children').read_text().split()[0]
        shared = re.findall(r'/dev/shm/\S+', Path(f'/proc/{node}/maps').read_text())
        os.kill(int(node), signal.SIGKILL)
        errors = process.communicate(timeout=PATIENCE)[1]
    for segment in set(map(Path, shared)) - others:  # a killed node leaves them there
        segment.unlink(missing_ok=True)
    assert process.returncode == 2
    assert re.search(r'error: the de-raining node ended after \d+ of 200 frames', errors)


@pytest.mark.parametrize('topic', ['/front/image_raw', '/rear/compressed'])
def test_a_broken_message_in_a_rosbag_is_named(tmp_path, street, topic):
    write_bag(tmp_path / 'recorded', street, broken=True)
    finished = demo(tmp_path / 'out', '--input', tmp_path / 'recorded', '--topic', topic)
    assert finished.returncode == 2
    assert (
        f'error: {tmp_path / "recorded"}: {topic} holds a broken message'
        in finished.stderr.splitlines()[-1]
    )
    assert 'Traceback' not in finished.stderr


def test_real_rain_photographs_keep_their_colours(tmp_path):
    files = sorted(data_folder('real').glob('*.jpg'))[:4]
    chosen = tmp_path / 'real'
    chosen.mkdir()
    for file in files:
        (chosen / file.name).symlink_to(file)
    assert demo(tmp_path / 'out', '--input', chosen).returncode == 0
    with AnyReader([tmp_path / 'out' / 'derained_bag']) as bag:
        after = [
            bag.deserialize(data, connection.msgtype) for connection, _, data in bag.messages()
        ]
    # the demo shows names by length first: 1.jpg before 10.jpg
    for file, message in zip(sorted(files, key=lambda f: (len(f.stem), f.stem)), after):
        before = cv2.imread(str(file)).astype(float)
        derained = message.data.reshape(before.shape).astype(float)
        shift = (derained - before).mean(axis=(0, 1))
        assert np.ptp(shift) < 3, 'rain is grey: what is removed has no colour'


def test_the_clip_rains_the_same_every_time():
    first, second = (next(clip().shots()) for _ in range(2))
    assert np.array_equal(first.rainy, second.rainy)
    assert first.clean.shape == (272, 640, 3)
    assert np.all(first.rainy >= first.clean), 'rain is added, never taken away'


@pytest.mark.parametrize(
    'make, reason',
    [
        (lambda path: None, 'no such file or folder'),
        (lambda path: path.mkdir(), 'holds no image'),
        (lambda path: path.write_text('not a video'), 'not a video that OpenCV can read'),
        (lambda path: [path.mkdir(), (path / 'drive.mcap').touch()], 'ros2 bag reindex'),
        (
            lambda path: write_bag(path, np.zeros((16, 16, 3), np.uint8)),
            'set TOPIC to one of: /front/image_raw, /rear/compressed',
        ),
    ],
)
def test_an_input_that_cannot_be_shown_is_named_with_the_reason(tmp_path, make, reason):
    make(tmp_path / 'input')
    finished = demo(tmp_path / 'out', '--input', tmp_path / 'input')
    assert finished.returncode == 2
    assert finished.stderr.splitlines()[-1].startswith(f'error: {tmp_path / "input"}: ')
    assert reason in finished.stderr
    assert 'Traceback' not in finished.stderr
