"""What a car must not learn from silence: every danger is in the reports of the node."""

import os
from pathlib import Path
import subprocess
import sys

from diagnostic_msgs.msg import DiagnosticStatus
from helpers.data import ROOT
from helpers.stack import image, values
import pytest
from rclpy.qos import (
    qos_profile_sensor_data,
    QoSDurabilityPolicy,
    QoSProfile,
    QoSReliabilityPolicy,
)
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image
from std_srvs.srv import SetBool

from derain_ros.node import causes
from derain_ros.node.diagnostics import array
from derain_ros.node.transport import profile_variable

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
def start_with(start, monkeypatch):
    """Start the node with an engine that does the given."""
    monkeypatch.setenv('PYTHONPATH', f'{ROOT / "test"}:{ROOT}')

    def start_with(what: str, *arguments: str) -> subprocess.Popen:
        return start(*arguments, program=('-c', ENGINE.format(what=what)), patience=())

    return start_with


def moving(number: int) -> Image:
    """Return an image that is no copy of the one before."""
    message = image()
    message.data[:] = message.data[number % 97 :] + message.data[: number % 97]
    return message


@pytest.mark.parametrize(
    'what, reason',
    [
        ('out[:] = 0', 'turned black'),
        ('out[:] = 255', 'turned white'),
        ('pass', 'not plausible'),
        ('out[:] = 128', 'contrast'),
    ],
)
def test_a_result_that_is_no_image_is_not_published(stack, start_with, what, reason):
    start_with(what)

    def reported() -> bool:
        stack.camera.publish(image())
        return any(
            status.level == DiagnosticStatus.ERROR and reason in status.message
            for status in stack.statuses
        )

    stack.until(reported)
    assert stack.received == [image()] * len(stack.received)


def test_an_output_that_stays_while_the_input_changes_is_not_published(stack, start_with):
    start_with('self.first = getattr(self, "first", frames.copy()); out[:] = self.first')
    sent = []

    def reported() -> bool:
        sent.append(moving(len(sent)))
        stack.camera.publish(sent[-1])
        return any('the same as the one before' in warning for warning in stack.warnings())

    stack.until(reported)


def test_most_images_lost_is_not_ok(stack, start_with):
    start_with('time.sleep(0.2); out[:] = frames')

    def warned() -> bool:
        stack.camera.publish(image())
        return any('were replaced by newer ones' in warning for warning in stack.warnings())

    stack.until(warned)


def test_a_machine_that_is_too_slow_passes_images_at_once(stack, start_with):
    start_with('time.sleep(0.3); out[:] = frames', '-p', 'deadline:=0.1')

    def reported() -> bool:
        stack.camera.publish(image())
        return any('it is tried again in' in warning for warning in stack.warnings())

    stack.until(reported)
    before = values(stack.statuses[-1])
    stack.until(lambda: (stack.camera.publish(image()), values(stack.statuses[-1]) != before)[1])
    assert stack.statuses[-1].level == DiagnosticStatus.ERROR


def test_a_report_says_what_comes_in_and_how_old_it_is(stack, start):
    start()
    stack.connect()
    stack.send(image())
    stack.until(lambda: 'stamp_to_publish_ms_median' in values(stack.statuses[-1]))
    said = values(stack.statuses[-1])
    assert said['last_image'] == "64x48 'bgr8'"
    assert said['model'] == 'fast'
    assert said['state'] == 'active'
    assert float(said['received_per_second']) > 0


def test_an_inactive_node_reports(stack, start):
    start('-p', 'autostart:=false')
    stack.until(lambda: stack.statuses)
    assert stack.statuses[-1].level == DiagnosticStatus.WARN
    assert stack.statuses[-1].message == 'unconfigured: no image is published'


def test_input_and_output_on_one_topic_are_refused(stack, start):
    process = start('-r', 'image_derained:=image_raw')
    topic = f'{stack.get_namespace()}/image_raw'
    reason = f'not activated: {topic} is image_raw and image_derained of this node'
    stack.until(lambda: any(reason in warning for warning in stack.warnings()))
    assert reason in process.log.read_text()
    assert stack.statuses[-1].level == DiagnosticStatus.ERROR


def test_a_camera_whose_qos_does_not_fit_is_named(stack, start):
    topic = f'{stack.get_namespace()}/image_raw'
    start('-p', f'qos_overrides.{topic}.subscription.reliability:=reliable')
    reason = f'the QoS of its publisher {stack.get_namespace()}/stack does not fit'
    stack.until(lambda: any(reason in warning for warning in stack.warnings()))
    assert any(f'qos_overrides.{topic}.subscription' in warning for warning in stack.warnings())


def test_a_camera_that_publishes_compressed_images_alone_is_named(stack, start):
    start()
    topic = f'{stack.get_namespace()}/image_raw'
    stack.destroy_publisher(stack.camera)
    stack.create_publisher(CompressedImage, f'{topic}/compressed', qos_profile_sensor_data)
    stack.until(
        lambda: any(f'only {topic}/compressed is published' in text for text in stack.warnings())
    )


def test_a_shared_memory_too_small_for_the_profile_is_named(ros, monkeypatch):
    monkeypatch.setenv(profile_variable(), str(ROOT / 'config' / 'fastdds_shm.xml'))
    usage = type('Usage', (), {'total': 64 * 2**20})
    monkeypatch.setattr(causes.shutil, 'disk_usage', lambda path: usage)
    problem = causes.shared_memory_problem()
    assert problem.startswith('/dev/shm has 64.0 MB, and the profile')
    assert 'needs 192 MB' in problem
    assert '--ipc=host' in problem
    usage.total = 2**30
    assert causes.shared_memory_problem() == ''
    monkeypatch.delenv(profile_variable())
    usage.total = 2**16
    assert causes.shared_memory_problem() == ''


SENDER = """
import sys, time
import rclpy
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
rclpy.init()
node = rclpy.create_node('camera', namespace=sys.argv[1])
camera = node.create_publisher(Image, 'image_raw', qos_profile_sensor_data)
message = Image(height=1080, width=1920, step=5760, encoding='bgr8')
message.data.frombytes(bytes(5760 * 1080))
while True:
    camera.publish(message)
    time.sleep(0.05)
"""


def test_a_camera_process_without_the_profile_is_named(stack, start_with):
    start_with('out[:] = frames')
    plain = {name: value for name, value in os.environ.items() if 'PROFILES_FILE' not in name}
    sender = subprocess.Popen([sys.executable, '-c', SENDER, stack.get_namespace()], env=plain)
    try:
        stack.until(
            lambda: any(
                'shared-memory profile' in warning and 'camera' in warning
                for warning in stack.warnings()
            )
        )
    finally:
        sender.terminate()
        sender.wait()


def test_a_clock_before_1970_does_not_end_the_node(stack, start):
    process = start('-p', 'use_sim_time:=true')
    clock = stack.create_publisher(Clock, '/clock', QoSProfile(depth=1))
    stack.connect()
    stack.until(clock.get_subscription_count)
    wrong = Clock()
    wrong.clock.sec = -5
    for _ in range(20):
        clock.publish(wrong)
        stack.send(image())
    seen = len(stack.statuses)
    stack.until(lambda: len(stack.statuses) > seen + 1)
    assert 'a callback failed, and the node goes on' in process.log.read_text()


class Beyond2038:
    """A node whose clock is set beyond what a stamp can hold."""

    def get_clock(self):
        return self

    def now(self):
        return self

    def to_msg(self):
        raise OverflowError('sec must be an integer in [-2147483648, 2147483647]')


def test_a_clock_beyond_2038_does_not_keep_reports_back():
    message = array(Beyond2038(), [DiagnosticStatus(message='de-raining')])
    assert message.status[0].message == 'de-raining'
    assert message.header.stamp.sec == 0


def test_a_report_that_cannot_be_published_does_not_end_the_node(stack, start, tmp_path: Path):
    program = (
        'from derain_ros.node import node\n'
        'from derain_ros.node.__main__ import main\n'
        'calls = []\n'
        'def array(*arguments):\n'
        '    calls.append(1)\n'
        '    raise RuntimeError("no room in the history of the writer")\n'
        'node.array = array\n'
        'main()'
    )
    process = start(program=('-c', program))
    stack.until(lambda: 'no report: no room in the history' in process.log.read_text())
    came = []

    def publish() -> bool:
        stack.camera.publish(image())
        came[:] = stack.received
        return bool(came)

    stack.until(publish)
    assert process.poll() is None


def test_de_raining_is_switched_off_by_hand(stack, start):
    start()
    stack.connect()
    assert stack.call(SetBool, 'enable', SetBool.Request(data=False)).success
    assert stack.send(image()) == image()
    stack.until(lambda: 'de-raining is switched off' in stack.statuses[-1].message)
    assert stack.call(SetBool, 'enable', SetBool.Request(data=True)).success
    assert stack.send(image()) != image()


def test_several_cameras_share_one_node(stack, start):
    start('-p', 'cameras:=[front, left]')
    came: dict[str, list[Image]] = {'front': [], 'left': []}
    cameras = {}
    for name, images in came.items():
        cameras[name] = stack.create_publisher(Image, f'{name}/image_raw', qos_profile_sensor_data)
        stack.create_subscription(Image, f'{name}/image_derained', images.append, 10)

    def arrived() -> bool:
        for camera in cameras.values():
            camera.publish(image())
        return all(came.values())

    stack.until(arrived)
    stack.until(lambda: {status.name.split(': ')[1] for status in stack.statuses} >= set(came))


def test_images_are_kept_for_late_subscribers_where_qos_says_so(stack, start):
    topic = f'{stack.get_namespace()}/image_derained'
    start('-p', f'qos_overrides.{topic}.publisher.durability:=transient_local')
    stack.until(lambda: stack.get_publishers_info_by_topic(topic))
    (publisher,) = stack.get_publishers_info_by_topic(topic)
    assert publisher.qos_profile.durability == QoSDurabilityPolicy.TRANSIENT_LOCAL
    assert publisher.qos_profile.reliability == QoSReliabilityPolicy.RELIABLE


def test_an_override_that_nothing_reads_is_said(stack, start):
    topic = f'{stack.get_namespace()}/image_raw'
    process = start(
        *('-p', f'qos_overrides.{topic}.publisher.depth:=1'),
        *('-p', 'deadlin:=0.1'),
        *('-p', 'somebody_elses:=1'),
    )
    stack.connect()
    log = process.log.read_text()
    assert f'qos_overrides.{topic}.publisher.depth has no effect' in log
    assert "parameter deadlin has no effect; did you mean 'deadline'?" in log
    assert 'somebody_elses' not in log
