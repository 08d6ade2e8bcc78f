"""The node as its users meet it: a process of its own, real messages over real DDS."""

import os
import re
import subprocess
import sys
import time

from helpers.image_messages import BYTES_PER_PIXEL, noise
from helpers.stack import image
import pytest
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage, Image


def test_an_image_comes_back_derained_with_its_header(stack, start):
    start()
    stack.connect()
    sent = image()
    came = stack.send(sent)
    assert came.header == sent.header
    assert (came.height, came.width, came.encoding, came.step) == (48, 64, 'bgr8', 192)
    assert came.data != sent.data


@pytest.mark.parametrize(
    'encoding, channels, comes_back_as',
    [
        ('rgb8', 3, 'rgb8'),
        ('bgra8', 4, 'bgra8'),
        ('mono8', 1, 'mono8'),
        ('yuv422', 2, 'bgr8'),
        ('bayer_rggb8', 1, 'bgr8'),
        ('rgb16', 6, 'bgr8'),
    ],
)
def test_camera_encodings(stack, start, encoding, channels, comes_back_as):
    start()
    stack.connect()
    assert stack.send(image(encoding=encoding, channels=channels)).encoding == comes_back_as


def test_what_is_not_derained_comes_back_bit_for_bit_in_every_encoding(stack, start):
    start('-p', "gate:='off'")
    stack.connect()
    for encoding in BYTES_PER_PIXEL:
        sent = noise(encoding, 32, 48, 6)
        sent.header.frame_id = encoding
        assert stack.send(sent) == sent


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
    reasons = ('is still being compiled', 'the deadline of 1 ms')
    assert any(reason in text for text in stack.warnings() for reason in reasons)


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
    assert any(
        float(value.value) > 0
        for status in stack.statuses
        for value in status.values
        if value.key == 'derained_per_second'
    )


def test_a_camera_that_is_killed_and_comes_back(stack, start):
    start()
    script = (
        'import rclpy, time; from sensor_msgs.msg import Image; rclpy.init();'
        f'node = rclpy.create_node("camera", namespace="{stack.get_namespace()}");'
        'camera = node.create_publisher(Image, "image_raw", 1);'
        'message = Image(height=16, width=16, step=48, encoding="bgr8");'
        'message.data = bytes(768)\n'
        'while True: camera.publish(message); time.sleep(0.05)'
    )
    without_profile = {
        name: value
        for name, value in os.environ.items()
        if not name.endswith('DEFAULT_PROFILES_FILE')
    }
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


def test_reports_come_though_simulated_time_stands_still(stack, start):
    start('-p', 'use_sim_time:=true')
    stack.until(lambda: len(stack.statuses) > 1)


def test_a_silent_camera_is_a_warning_until_it_speaks(stack, start):
    start()
    stack.until(lambda: any('no image on' in message for message in stack.warnings()))
    # the first report may be over before DDS has connected this process
    assert re.fullmatch(
        rf'no image on {stack.get_namespace()}/image_raw for [345] s: '
        r'a camera is connected and sends nothing, .*',
        stack.warnings()[0],
    )

    def speaks() -> bool:
        stack.camera.publish(image())
        time.sleep(0.1)
        return stack.statuses[-1].message == 'de-raining'

    stack.until(speaks)


def test_a_camera_that_publishes_something_else_is_named(stack, start):
    start()
    topic = f'{stack.get_namespace()}/image_raw'
    stack.destroy_publisher(stack.camera)
    stack.create_publisher(CompressedImage, topic, qos_profile_sensor_data)
    stack.until(lambda: any('no image on' in message for message in stack.warnings()))
    assert re.fullmatch(
        rf'no image on {topic} for [345] s: sensor_msgs/msg/CompressedImage is '
        'published there, and sensor_msgs/msg/Image is needed',
        stack.warnings()[0],
    )
