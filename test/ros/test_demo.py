"""The demo, as `make demo INPUT=…` runs it: real processes, real DDS, real files."""

import json
import os
from pathlib import Path
import re
import signal
import subprocess
import sys

import cv2
from helpers.data import data_folder, ROOT
from helpers.demo import demo, PATIENCE, started, write_bag
import numpy as np
import pytest
from rosbags.highlevel import AnyReader

KEYS = {
    'source',
    'version',
    'model',
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
    page = (out / 'index.html').read_text()
    assert re.findall(r'src="(.+?)"', page) == [
        'demo.mp4',
        *(f'{index:04}_{state}.jpg' for index in range(4) for state in ('before', 'after')),
    ]
    assert all((out / name).exists() for name in re.findall(r'src="(.+?)"', page))
    assert '<tr><th>frames that came back</th><td>4</td></tr>' in page
    assert cv2.VideoCapture(str(out / 'demo.mp4')).get(cv2.CAP_PROP_FRAME_COUNT) == 4


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


def write_video(path, street, frames=5):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 10, (140, 92))
    for _ in range(frames):
        writer.write(street[:92, :140])
    writer.release()
    return path


def test_a_video_is_shown_at_its_rate(tmp_path, street):
    write_video(tmp_path / 'drive.avi', street)
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
    cv2.imwrite(str(tmp_path / '0000_before.jpg'), street)
    for shown in (tmp_path, tmp_path / '0000_before.jpg'):
        finished = demo(tmp_path, '--input', shown)
        assert finished.returncode == 2
        assert re.search(
            f'error: {shown}: (is where the demo writes|would be repl)', finished.stderr
        )
        assert (tmp_path / '0000_before.jpg').exists()


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
def test_of_a_damaged_rosbag_the_rest_is_shown(tmp_path, street, topic):
    write_bag(tmp_path / 'recorded', street, broken=True)
    finished = demo(tmp_path / 'out', '--input', tmp_path / 'recorded', '--topic', topic)
    assert finished.returncode == 1
    assert re.fullmatch(
        f'error: only a part was shown: {tmp_path / "recorded"}: {topic} at 500000000 ns: .+',
        finished.stderr.splitlines()[-1],
    )
    assert 'Traceback' not in finished.stderr
    assert json.loads((tmp_path / 'out' / 'report.json').read_text())['frames_sent'] == 5


def test_of_a_damaged_video_the_rest_is_shown(tmp_path, street):
    path = write_video(tmp_path / 'drive.avi', street)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    finished = demo(tmp_path / 'out', '--input', path)
    assert finished.returncode == 1
    assert f'error: only a part was shown: {path}: damaged, ' in finished.stderr
    assert (tmp_path / 'out' / 'index.html').exists()


def test_one_photograph_is_shown_as_one(tmp_path, street):
    cv2.imwrite(str(tmp_path / 'photo.png'), street)
    finished = demo(tmp_path / 'out', '--input', tmp_path / 'photo.png')
    assert finished.returncode == 0, finished.stderr
    assert json.loads((tmp_path / 'out' / 'report.json').read_text())['frames_received'] == 1
    page = (tmp_path / 'out' / 'index.html').read_text()
    assert ('0000_after.jpg' in page, '<video' in page) == (True, False)
    assert not (tmp_path / 'out' / 'demo.mp4').exists()


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_demo_and_its_node(tmp_path, street, number):
    """While it waits for the next frame, and however long that takes."""
    write_bag(tmp_path / 'recorded', street, frames=100, period_ns=10**9)
    topic = ('--topic', '/rear/compressed')
    with started(tmp_path / 'out', '--input', tmp_path / 'recorded', *topic) as process:
        said = ''
        while not re.search(r'[1-9]\d*/100', said):
            said += process.stderr.read(1)
        node = Path(f'/proc/{process.pid}/task/{process.pid}/children').read_text().split()[0]
        process.send_signal(number)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + number
    assert not Path(f'/proc/{node}').exists()


@pytest.mark.parametrize(
    ('variable', 'value', 'way_out'),
    [
        ('ROS_AUTOMATIC_DISCOVERY_RANGE', 'OFF', 'unset it, or set it to LOCALHOST'),
        ('ROS_DISCOVERY_SERVER', '127.0.0.1:47111', 'start that server, or unset it'),
    ],
)
def test_a_node_that_is_not_found_is_told_from_one_that_fails(
    tmp_path, street, variable, value, way_out
):
    cv2.imwrite(str(tmp_path / 'photo.png'), street)
    code = 'import play, demo, sys; play.CONNECT_S = 5; sys.exit(demo.main())'
    paths = os.pathsep.join([str(ROOT / 'demo'), str(ROOT)])
    finished = subprocess.run(
        [sys.executable, '-c', code, '--out', tmp_path / 'out', '--input', tmp_path / 'photo.png'],
        text=True,
        capture_output=True,
        timeout=PATIENCE,
        env=os.environ | {'PYTHONPATH': paths, variable: value},
    )
    assert finished.returncode == 2
    assert 'error: in 5 s no image came back from the de-raining node' in finished.stderr
    assert 'is not found by ROS discovery on /derain_demo_' in finished.stderr
    assert f'the likely cause: {variable}={value} ({way_out})' in finished.stderr


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
