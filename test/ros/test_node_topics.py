"""What the node subscribes to and publishes: raw and compressed, if somebody listens."""

from array import array
import time

import cv2
from helpers.stack import image, values
import numpy as np
import pytest
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Float32


@pytest.fixture
def picture(street: np.ndarray) -> np.ndarray:
    """Return a picture without rain, uint8 BGR [96, 128, 3]."""
    return cv2.GaussianBlur(cv2.resize(street, (128, 96)), (0, 0), 2)


def raw(pixels: np.ndarray) -> Image:
    height, width, _ = pixels.shape
    message = Image(height=height, width=width, encoding='bgr8', step=3 * width)
    message.data = array('B', pixels.tobytes())
    message.header.frame_id = 'camera_front'
    return message


def jpeg(pixels: np.ndarray, form: str = 'bgr8; jpeg compressed bgr8') -> CompressedImage:
    message = CompressedImage(format=form)
    message.data = array('B', cv2.imencode('.jpg', pixels)[1].tobytes())
    message.header.frame_id = 'camera_front'
    return message


def decoded(message: CompressedImage) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(message.data, np.uint8), cv2.IMREAD_UNCHANGED)


class Ends:
    """A camera and a consumer of compressed images."""

    def __init__(self, stack) -> None:
        self.stack, self.came = stack, []
        topic = f'{stack.get_namespace()}/image_raw/compressed'
        self.camera = stack.create_publisher(CompressedImage, topic, qos_profile_sensor_data)
        stack.create_subscription(
            CompressedImage, 'image_derained/compressed', self.came.append, 10
        )

    def send_until(self, camera, message: object, came: list) -> object:
        """Send a message until something comes back."""
        before = len(came)

        def arrived() -> bool:
            camera.publish(message)
            return len(came) > before

        self.stack.until(arrived)
        return came[-1]


@pytest.fixture
def ends(stack) -> Ends:
    return Ends(stack)


def test_compressed_images_in_and_out(stack, start, ends, picture):
    start('-p', 'image_transport:=compressed')
    sent = jpeg(picture)
    came = ends.send_until(ends.camera, sent, ends.came)
    assert came.format == 'bgr8; jpeg compressed bgr8'
    assert came.header == sent.header
    assert decoded(came).shape == picture.shape
    assert np.abs(decoded(came).astype(int) - picture).mean() < 5
    beside = ends.send_until(ends.camera, sent, stack.received)
    assert (beside.encoding, beside.height, beside.width) == ('bgr8', 96, 128)


def test_raw_in_and_png_out(stack, start, ends, picture):
    start('-p', 'image_derained.compressed.format:=png')
    came = ends.send_until(stack.camera, raw(picture), ends.came)
    assert came.format == 'bgr8; png compressed bgr8'
    derained = stack.send(raw(picture))
    assert np.array_equal(decoded(came).ravel(), np.frombuffer(derained.data, np.uint8))


def test_what_is_compressed_passes_through_as_it_is(stack, start, ends, picture):
    start('-p', 'image_transport:=compressed', '-p', 'gate:=off')
    sent = jpeg(picture)
    assert ends.send_until(ends.camera, sent, ends.came) == sent
    plain = ends.send_until(ends.camera, sent, stack.received)
    assert np.array_equal(np.frombuffer(plain.data, np.uint8), decoded(sent).ravel())


def test_what_is_no_picture_is_dropped_and_named(stack, start, ends, picture):
    start('-p', 'image_transport:=compressed')
    ends.send_until(ends.camera, jpeg(picture), ends.came)
    cut = jpeg(picture)
    cut.data = cut.data[:200]
    for broken in (cut, CompressedImage(format='jpeg'), CompressedImage(data=b'no picture')):
        ends.camera.publish(broken)
        time.sleep(0.1)
    stack.until(lambda: stack.statuses and int(values(stack.statuses[-1]).get('dropped', '0')) > 0)
    ends.send_until(ends.camera, jpeg(picture), ends.came)


def test_without_a_listener_the_camera_is_left_alone(stack, start):
    (consumer,) = [one for one in stack.subscriptions if one.topic_name.endswith('image_derained')]
    start()
    stack.connect()
    stack.destroy_subscription(consumer)
    stack.until(lambda: stack.camera.get_subscription_count() == 0)
    stack.until(lambda: stack.statuses[-1].message == 'idle: no subscribers')
    came: list[Image] = []
    stack.create_subscription(Image, 'image_derained', came.append, 10)

    def arrived() -> bool:
        stack.camera.publish(image())
        return bool(came)

    stack.until(arrived)


def test_camera_info_follows_an_output_into_another_namespace(stack, start):
    start('-p', 'relay_camera_info:=true', '-r', 'image_derained:=clear/image')
    came: list[CameraInfo] = []
    camera = stack.create_publisher(CameraInfo, 'camera_info', qos_profile_sensor_data)
    stack.create_subscription(CameraInfo, 'clear/camera_info', came.append, 10)
    sent = CameraInfo(height=48, width=64, distortion_model='plumb_bob', d=[0.1] * 5)

    def arrived() -> bool:
        camera.publish(sent)
        return bool(came)

    stack.until(arrived)
    assert came[-1] == sent


def test_camera_info_that_already_lies_there_is_left_alone(stack, start):
    process = start('-p', 'relay_camera_info:=true')
    topic = f'{stack.get_namespace()}/camera_info'
    stack.until(lambda: f'relay_camera_info has no effect: {topic}' in process.log.read_text())
    assert stack.count_publishers(topic) == 0


def test_in_dry_weather_images_pass_bit_for_bit(stack, start, picture):
    start('-p', 'gate:=auto')
    stack.connect()
    stack.until(lambda: stack.send(raw(picture)) == raw(picture) and _is_dry(stack))
    assert stack.statuses[-1].message == 'dry: images pass through unchanged'
    assert float(values(stack.statuses[-1]).get('rain', '0')) < 0.03


def _is_dry(stack) -> bool:
    time.sleep(0.05)
    return stack.statuses[-1].message.startswith('dry')


def test_settings_change_at_run_time_and_wrong_ones_are_refused(stack, start):
    start()
    stack.connect()

    def set_parameter(name: str, value: object):
        request = SetParameters.Request(
            parameters=[Parameter(name, value=value).to_parameter_msg()]
        )
        return stack.call(SetParameters, 'set_parameters', request).results[0]

    assert stack.send(image()) != image()
    assert set_parameter('max_change', 0).successful
    assert stack.send(image()) == image()
    assert set_parameter('gate', 'off').successful
    assert set_parameter('image_derained.compressed.jpeg_quality', 50).successful
    for name, value, reason in (
        ('gate', 'sometimes', 'give one of always, auto, off'),
        ('image_derained.compressed.format', 'gif', 'give one of jpeg, png'),
        ('image_transport', 'compressed', 'read in configure'),
    ):
        result = set_parameter(name, value)
        assert not result.successful
        assert reason in result.reason
    assert not set_parameter('max_change', 300).successful


def test_signals_are_published_for_who_listens(stack, start):
    start()
    came: dict[str, list[float]] = {}
    for topic in ('rain', 'debug/inference_ms', 'debug/processing_ms', 'debug/changed_share'):
        came[topic] = []
        stack.create_subscription(
            Float32,
            f'derain/{topic}',
            lambda message, topic=topic: came[topic].append(message.data),
            10,
        )
    stack.connect()
    stack.until(lambda: (stack.send(image()), all(came.values()))[1])
    assert 0 <= came['rain'][-1] <= 1
    assert 0 < came['debug/inference_ms'][-1] <= came['debug/processing_ms'][-1]
