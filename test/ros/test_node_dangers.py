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
    QoSProfile,
)
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage

from derain_ros.node import causes
from derain_ros.node.diagnostics import array
from derain_ros.node.transport import profile_variable


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


@pytest.mark.parametrize(
    ('arguments', 'topic', 'conflict'),
    [
        (
            ('image_transport:=compressed', 'image_derained:=image_raw'),
            'image_raw/compressed',
            'image_raw and image_derained of this node',
        ),
        (
            ('cameras:=[a, b]', 'a/image_derained:=b/image_raw'),
            'b/image_raw',
            'image_raw and image_derained of this node',
        ),
        (
            ('cameras:=[a, b]', 'a/image_derained:=b/image_derained'),
            'b/image_derained',
            'image_derained of several cameras',
        ),
    ],
)
def test_topics_that_cameras_of_one_node_may_not_share_are_refused(
    stack, start, arguments, topic, conflict
):
    parameter, remapping = arguments
    start('-p', parameter, '-r', remapping)
    reason = f'not activated: {stack.get_namespace()}/{topic} is {conflict}'
    stack.until(lambda: any(reason in warning for warning in stack.warnings()))
    assert stack.statuses[-1].level == DiagnosticStatus.ERROR


def test_images_that_circle_through_two_nodes_are_an_error(stack, start):
    start('-r', 'image_derained:=between', '-p', 'engine:=openvino')
    start(
        *('-r', 'image_raw:=between', '-r', 'image_derained:=image_raw'),
        *('-r', '__node:=derain_two', '-p', 'engine:=openvino'),
    )
    namespace = stack.get_namespace()
    reason = (
        f'images circle for ever: {namespace}/between of this node comes back to '
        f'{namespace}/image_raw through {namespace}/derain_two'
    )
    stack.until(lambda: any(reason in warning for warning in stack.warnings()))
    assert stack.statuses[-1].level == DiagnosticStatus.ERROR


def test_two_nodes_in_a_row_are_no_circle(stack, start):
    start('-r', 'image_derained:=between', '-p', 'engine:=openvino')
    start('-r', 'image_raw:=between', '-r', '__node:=derain_two', '-p', 'engine:=openvino')
    stack.connect()
    assert not any('circle' in warning for warning in stack.warnings())


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
        lambda: any(
            f'only {topic}/compressed is published: set image_transport to compressed' in text
            for text in stack.warnings()
        )
    )


def test_a_camera_that_publishes_raw_images_alone_is_named(stack, start):
    start('-p', 'image_transport:=compressed')
    topic = f'{stack.get_namespace()}/image_raw'
    stack.until(
        lambda: any(
            f'only {topic} is published: set image_transport to raw' in text
            for text in stack.warnings()
        )
    )
    stack.create_publisher(CompressedImage, f'{topic}/compressed', qos_profile_sensor_data)
    stack.until(lambda: 'a camera is connected and sends nothing' in stack.statuses[-1].message)


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
