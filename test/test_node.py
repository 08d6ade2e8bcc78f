"""The node as its users meet it: a process of its own, real messages over real DDS."""
from collections.abc import Callable, Iterator
import contextlib
import os
from pathlib import Path
import re
import signal
import subprocess
import sys
import time
import weakref

from conftest import ROOT
from diagnostic_msgs.msg import DiagnosticStatus
from lifecycle_msgs.msg import State, Transition
import pytest
from rcl_interfaces.srv import DescribeParameters, GetParameters, SetParameters
import rclpy
from rclpy.parameter import Parameter, parameter_value_to_python
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage, Image
from stack import image, PATIENCE, Stack
import yaml

from derain_ros.engines import EngineError
from derain_ros.engines.cuda import first_gpu
from derain_ros.node import DerainNode
from derain_ros.transport import use_profile


@pytest.fixture(scope='module', autouse=True)
def context() -> Iterator[None]:
    use_profile(ROOT / 'config' / 'fastdds_shm.xml')
    rclpy.init()
    yield
    rclpy.try_shutdown()


@pytest.fixture
def stack() -> Iterator[Stack]:
    stack = Stack(f'/test_{os.getpid()}_{time.monotonic_ns()}')
    yield stack
    stack.destroy_node()


@pytest.fixture
def start(stack: Stack, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen]]:
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
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:  # the engine of one test hangs
            process.kill()
            process.wait()


def test_an_image_comes_back_derained_with_its_header(stack, start):
    start()
    stack.connect()
    sent = image()
    came = stack.send(sent)
    assert came.header == sent.header
    assert (came.height, came.width, came.encoding, came.step) == (48, 64, 'bgr8', 192)
    assert came.data != sent.data


@pytest.mark.parametrize('encoding, channels, comes_back_as', [
    ('rgb8', 3, 'rgb8'), ('bgra8', 4, 'bgra8'), ('mono8', 1, 'mono8'), ('yuv422', 2, 'bgr8'),
    ('bayer_rggb8', 1, 'bgr8'), ('rgb16', 6, 'bgr8')])
def test_camera_encodings(stack, start, encoding, channels, comes_back_as):
    start()
    stack.connect()
    assert stack.send(image(encoding=encoding, channels=channels)).encoding == comes_back_as


def test_broken_images_do_not_stop_the_node(stack, start):
    process = start()
    stack.connect()
    unknown = image(encoding='32FC1', channels=4)
    assert stack.send(unknown) == unknown, 'a valid message passes through'
    broken = image()
    broken.height += 1
    stack.camera.publish(broken)
    assert stack.counts_since_connected(2) == {'received': 2, 'passed_through': 1, 'dropped': 1}
    assert any('take 9408' in message for message in stack.warnings())
    assert len(stack.received) == 1, 'a message that contradicts itself is not passed on'
    assert stack.send(image()).encoding == 'bgr8'
    assert "encoding '32FC1' is not one that can be de-rained" in process.log.read_text()


def test_a_deadline_that_cannot_be_met_passes_images_through(stack, start):
    start('-p', 'deadline:=0.001')
    stack.connect()
    sent = image(720, 1280)
    assert stack.send(sent) == sent
    assert stack.counts_since_connected(1) == {'received': 1, 'passed_through': 1}
    assert any('1280x720: no result within' in message for message in stack.warnings())


def test_diagnostics_account_for_every_image(stack, start):
    start()
    stack.connect()
    for _ in range(5):
        stack.send(image())
    assert stack.counts_since_connected(5) == {'received': 5, 'derained': 5}
    values = {value.key: value.value for status in stack.statuses for value in status.values}
    assert values['engine'] == 'openvino'
    assert values['precision'] in ('bf16', 'f32')
    assert 0 < float(values['latency_ms_median']) <= float(values['latency_ms_max'])
    assert any(float(value.value) > 0 for status in stack.statuses for value in status.values
               if value.key == 'derained_per_second')


@pytest.mark.parametrize('stop', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_node_cleanly(stack, start, stop):
    process = start(patience=())
    stack.connect()
    stack.camera.publish(image(1080, 1920))
    time.sleep(0.2)  # now the engine is at work on it
    process.send_signal(stop)
    assert process.wait(timeout=PATIENCE) == 0
    assert 'Traceback' not in process.log.read_text()


def test_a_camera_that_is_killed_and_comes_back(stack, start):
    start()
    script = ('import rclpy, time; from sensor_msgs.msg import Image; rclpy.init();'
              f'node = rclpy.create_node("camera", namespace="{stack.get_namespace()}");'
              'camera = node.create_publisher(Image, "image_raw", 1);'
              'message = Image(height=16, width=16, step=48, encoding="bgr8");'
              'message.data = bytes(768)\n'
              'while True: camera.publish(message); time.sleep(0.05)')
    without_profile = {name: value for name, value in os.environ.items()
                       if not name.endswith('DEFAULT_PROFILES_FILE')}
    for _ in range(2):
        before = len(stack.received)
        camera = subprocess.Popen([sys.executable, '-c', script], env=without_profile)
        try:
            stack.until(lambda before=before: len(stack.received) > before + 3)
        finally:
            camera.kill()
            camera.wait()


def test_topics_are_remapped(stack, start):
    start('-r', 'image_raw:=front/image', '-r', 'image_derained:=front/clear')
    came = []
    camera = stack.create_publisher(Image, 'front/image', qos_profile_sensor_data)
    stack.create_subscription(Image, 'front/clear', came.append, 10)
    stack.until(camera.get_subscription_count)
    stack.until(lambda: stack.count_publishers('front/clear'))

    def arrived() -> bool:
        camera.publish(image())
        return bool(came)

    stack.until(arrived)
    stack.until(lambda: stack.statuses)
    assert stack.statuses[-1].hardware_id == f'{stack.get_namespace()}/front/image'


def test_a_transition_out_of_order_is_refused_and_the_node_lives_on(stack, start):
    start()
    stack.connect()
    assert not stack.transition(Transition.TRANSITION_CONFIGURE), 'it is active'
    assert stack.state() == State.PRIMARY_STATE_ACTIVE
    stack.send(image())


def test_reports_come_though_simulated_time_stands_still(stack, start):
    start('-p', 'use_sim_time:=true')
    stack.until(lambda: len(stack.statuses) > 1)


class Copy:
    """An engine that changes nothing."""

    name, precision, problem = 'copy', 'u8', ''

    def infer(self, frames, out, order, timeout=None) -> None:
        out[:] = frames


@pytest.mark.parametrize('transitions', [
    ('trigger_deactivate', 'trigger_cleanup'), ('trigger_shutdown',)])
def test_a_node_that_is_not_needed_lets_go_of_the_engine(monkeypatch, transitions):
    held = weakref.WeakSet()

    def create(*_: object) -> Copy:
        engine = Copy()
        held.add(engine)
        return engine

    monkeypatch.setattr('derain_ros.node.create_engine', create)
    node = DerainNode()
    node.start()
    assert len(held) == 1
    for transition in transitions:
        getattr(node, transition)()
    assert len(held) == 0
    node.destroy_node()


def test_a_lifecycle_manager_is_in_charge_where_autostart_is_off(stack, start):
    start('-p', 'autostart:=false')
    assert stack.state() == State.PRIMARY_STATE_UNCONFIGURED
    assert stack.transition(Transition.TRANSITION_CONFIGURE)
    assert stack.camera.get_subscription_count() == 0, 'not subscribed before activation'
    for _ in range(2):
        assert stack.transition(Transition.TRANSITION_ACTIVATE)
        stack.connect()
        stack.send(image())
        assert stack.transition(Transition.TRANSITION_DEACTIVATE)
        stack.until(lambda: stack.camera.get_subscription_count() == 0)
    assert stack.transition(Transition.TRANSITION_CLEANUP)
    assert stack.transition(Transition.TRANSITION_UNCONFIGURED_SHUTDOWN)
    assert stack.state() == State.PRIMARY_STATE_FINALIZED


def test_a_wrong_model_is_named_and_can_be_corrected(stack, start):
    process = start('-p', 'model:=fats')
    assert stack.state() == State.PRIMARY_STATE_UNCONFIGURED
    reason = "not configured: model 'fats': neither a released name"
    assert reason in process.log.read_text()
    stack.until(lambda: stack.statuses)
    assert stack.statuses[-1].level == DiagnosticStatus.ERROR
    assert stack.statuses[-1].message.startswith(reason)
    parameter = Parameter('model', value='fast').to_parameter_msg()
    stack.call(SetParameters, 'set_parameters', SetParameters.Request(parameters=[parameter]))
    assert stack.transition(Transition.TRANSITION_CONFIGURE)
    assert stack.transition(Transition.TRANSITION_ACTIVATE)
    stack.connect()
    stack.send(image())


def test_every_parameter_describes_itself(stack, start):
    start('--params-file', str(ROOT / 'config' / 'derain.yaml'))
    names = ['autostart', 'engine', 'model', 'deadline']
    described = stack.call(DescribeParameters, 'describe_parameters',
                           DescribeParameters.Request(names=names))
    assert all(len(descriptor.description) > 20 for descriptor in described.descriptors)
    allowed, = described.descriptors[3].floating_point_range
    assert (allowed.from_value, allowed.to_value) == (0.001, 60.0)


def test_the_parameter_file_documents_the_defaults(stack, start):
    start(patience=())
    written = yaml.safe_load((ROOT / 'config' / 'derain.yaml').read_text())
    written = written['/**']['ros__parameters']
    values = stack.call(GetParameters, 'get_parameters',
                        GetParameters.Request(names=list(written))).values
    assert {name: parameter_value_to_python(value)
            for name, value in zip(written, values)} == written


def test_the_qos_of_a_topic_can_be_overridden(stack, start):
    topic = f'{stack.get_namespace()}/image_derained'
    start('-p', f'qos_overrides.{topic}.publisher.reliability:=best_effort')
    stack.until(lambda: stack.get_publishers_info_by_topic(topic))
    publisher, = stack.get_publishers_info_by_topic(topic)
    assert publisher.qos_profile.reliability.name == 'BEST_EFFORT'


@pytest.mark.parametrize('side, topic, reason', [
    ('publisher', 'image_derained', 'not configured: '),
    ('subscription', 'image_raw', 'not activated: ')])
def test_a_qos_that_cannot_be_is_named(stack, start, side, topic, reason):
    topic = f'{stack.get_namespace()}/{topic}'
    process = start('-p', f'qos_overrides.{topic}.{side}.reliability:=besteffort')
    stack.until(lambda: reason in process.log.read_text())
    assert 'besteffort' in process.log.read_text()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=PATIENCE) == 0
    assert 'Traceback' not in process.log.read_text()


@pytest.mark.parametrize('deadline', ['1', '100.0', 'soon'])
def test_a_parameter_that_cannot_be_is_named(start, deadline):
    process = start('-p', f'deadline:={deadline}', patience=())
    assert process.wait(timeout=PATIENCE) == 1
    assert process.log.read_text().startswith('error: ')
    assert 'deadline' in process.log.read_text()
    assert 'Traceback' not in process.log.read_text()


def test_a_silent_camera_is_a_warning_until_it_speaks(stack, start):
    start()
    stack.until(lambda: any('no image on' in message for message in stack.warnings()))
    # the first report may be over before DDS has connected this process
    assert re.fullmatch(rf'no image on {stack.get_namespace()}/image_raw for [345] s: '
                        r'is a camera publishing there\?', stack.warnings()[0])
    stack.connect()
    stack.until(lambda: stack.statuses[-1].message == 'de-raining')


def test_a_camera_that_publishes_something_else_is_named(stack, start):
    start()
    topic = f'{stack.get_namespace()}/image_raw'
    stack.destroy_publisher(stack.camera)
    stack.create_publisher(CompressedImage, topic, qos_profile_sensor_data)
    stack.until(lambda: any('no image on' in message for message in stack.warnings()))
    assert re.fullmatch(rf'no image on {topic} for [345] s: sensor_msgs/msg/CompressedImage is '
                        'published there, and sensor_msgs/msg/Image is needed',
                        stack.warnings()[0])


BROKEN_GPU = """
import logging
from derain_ros.engines import create_engine, EngineError
from derain_ros.engines.auto import AutoEngine
from derain_ros.node import main

def obtain(size, order):
    raise EngineError('the GPU has fallen off the bus')

main(AutoEngine(create_engine('openvino', 'fast'), obtain, logging.getLogger()))
"""


def test_a_gpu_that_fails_is_a_warning_and_images_are_derained_all_the_same(stack, start):
    start(program=('-c', BROKEN_GPU))
    stack.connect()
    stack.send(image())
    assert stack.counts_since_connected(1) == {'received': 1, 'derained': 1}
    stack.until(lambda: stack.statuses[-1].level == DiagnosticStatus.WARN)
    assert stack.statuses[-1].message == (
        'on openvino, TensorRT again in 10 s: the GPU has fallen off the bus')


HANGING = """
import time
from test_node import Copy
from derain_ros.node import main

class Hanging(Copy):
    def infer(self, frames, out, order, timeout=None):
        time.sleep(60)

main(Hanging())
"""


def test_an_engine_that_hangs_is_a_warning(stack, start, monkeypatch):
    monkeypatch.setenv('PYTHONPATH', f'{ROOT / "test"}:{ROOT}')
    start(program=('-c', HANGING))

    def warned() -> bool:
        stack.camera.publish(image())
        return any(re.fullmatch(r'copy has been at work on an image for [2345] s', warning)
                   for warning in stack.warnings())

    stack.until(warned)


@pytest.mark.parametrize('engine, text', [
    ('auto', 'runs on openvino'), ('tensorrt', "not configured: engine 'tensorrt'")])
def test_without_a_gpu_the_node_says_once_what_that_means(stack, start, engine, text):
    with contextlib.suppress(EngineError):
        pytest.skip(f'there is a GPU: {first_gpu().name}')
    process = start('-p', f'engine:={engine}')
    stack.until(lambda: text in process.log.read_text())
    assert process.log.read_text().count('no GPU can be used') == 1
