"""Switches, several cameras, engines and QoS of the node."""

import contextlib

from diagnostic_msgs.msg import DiagnosticStatus
from helpers.stack import image, PATIENCE
from lifecycle_msgs.msg import Transition
import pytest
from rclpy.qos import qos_profile_sensor_data, QoSDurabilityPolicy, QoSReliabilityPolicy
from sensor_msgs.msg import Image
from std_srvs.srv import SetBool

from derain_ros.engine.tensorrt.cuda import first_gpu
from derain_ros.errors import EngineError


def test_de_raining_is_switched_off_by_hand(stack, start):
    start()
    stack.connect()
    assert stack.call(SetBool, 'enable', SetBool.Request(data=False)).success
    assert stack.send(image()) == image()
    stack.until(lambda: 'de-raining is switched off' in stack.statuses[-1].message)
    assert stack.call(SetBool, 'enable', SetBool.Request(data=True)).success
    assert stack.send(image()) != image()


def test_switched_on_while_the_gate_is_off_says_so(stack, start):
    start('-p', 'gate:=off')
    stack.until(lambda: stack.statuses and stack.statuses[-1].level == DiagnosticStatus.OK)
    answer = stack.call(SetBool, 'enable', SetBool.Request(data=True))
    assert answer.success
    assert 'de-raining is switched on, but the parameter gate is off' in answer.message


def test_an_inactive_node_is_not_switched(stack, start):
    start('-p', 'autostart:=false')
    assert stack.transition(Transition.TRANSITION_CONFIGURE)
    answer = stack.call(SetBool, 'enable', SetBool.Request(data=False))
    assert not answer.success
    assert answer.message == 'the node is inactive: activate it first'
    assert stack.transition(Transition.TRANSITION_ACTIVATE)
    stack.connect()
    assert stack.send(image()) != image()


def test_a_camera_that_is_named_twice_is_refused(start):
    process = start('-p', 'cameras:=[front, front]')
    assert process.wait(timeout=PATIENCE) == 2
    assert 'name every camera once' in process.log.read_text()


def test_several_cameras_share_one_node(stack, start):
    left = f'{stack.get_namespace()}/left'  # names may be absolute
    start('-p', f'cameras:=[front, {left}]')
    came: dict[str, list[Image]] = {'front': [], left: []}
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


@pytest.mark.parametrize(
    'engine, text',
    [('auto', 'runs on openvino'), ('tensorrt', "not configured: engine 'tensorrt'")],
)
def test_without_a_gpu_the_node_says_once_what_that_means(stack, start, engine, text):
    with contextlib.suppress(EngineError):
        pytest.skip(f'there is a GPU: {first_gpu().name}')
    process = start('-p', f'engine:={engine}')
    stack.until(lambda: text in process.log.read_text() and len(stack.statuses) > 2)
    assert process.log.read_text().count('no GPU can be used') == 1
