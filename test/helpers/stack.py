"""The stack around a node under test: a camera, a consumer, a hand on the lifecycle."""

from array import array
from collections import Counter
from collections.abc import Callable
import time

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data, QoSProfile
from sensor_msgs.msg import Image

from derain_ros.node.handshake import CONNECTING, counts, Handshake, is_complete

PATIENCE = 20


class Stack(Node):
    """A camera and a consumer, and a hand on the node's lifecycle."""

    def __init__(self, namespace: str) -> None:
        super().__init__('stack', namespace=namespace)
        self.received: list[Image] = []
        self.statuses: list[DiagnosticStatus] = []
        self._handshake = Handshake(self._greet)
        self.camera = self.create_publisher(Image, 'image_raw', qos_profile_sensor_data)
        self.create_subscription(Image, 'image_derained', self._receive, QoSProfile(depth=10))
        self.create_subscription(DiagnosticArray, '/diagnostics', self._diagnose, 10)

    def _receive(self, message: Image) -> None:
        if message.header.frame_id == CONNECTING:
            self._handshake.returned()
        else:
            self.received.append(message)

    def _diagnose(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.startswith(f'{self.get_namespace()}/derain:'):
                self.statuses.append(status)
                self._handshake.reported(counts(status))

    def counts_after(self, condition: Callable[[Counter], bool]) -> Counter:
        """Return what became of the images, once a later report meets the condition."""
        seen = len(self.statuses)
        self.until(lambda: len(self.statuses) > seen and condition(counts(self.statuses[-1])))
        return counts(self.statuses[-1])

    def counts_since_connected(self, total: int) -> dict[str, int]:
        """Return what became of the images sent since ``connect``, once there are ``total``."""
        now = self.counts_after(
            lambda counts: (
                counts['received'] == self.baseline['received'] + total and is_complete(counts)
            )
        )
        return dict(now - self.baseline)

    def warnings(self) -> list[str]:
        return [status.message for status in self.statuses if status.level != DiagnosticStatus.OK]

    def until(self, condition: Callable[[], object]) -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, 'waited in vain'
            rclpy.spin_once(self, timeout_sec=0.05)

    def spin_for(self, seconds: float) -> None:
        """Take what comes, for a while."""
        end = time.monotonic() + seconds
        while (left_s := end - time.monotonic()) > 0:
            rclpy.spin_once(self, timeout_sec=left_s)

    def connect(self) -> None:
        """Send images until one comes back: both ends have then found each other."""
        self._handshake = Handshake(self._greet)
        self.until(self._handshake.done)
        self.baseline = self._handshake.baseline

    def _greet(self) -> None:
        message = image(16, 16)
        message.header.frame_id = CONNECTING
        self.camera.publish(message)

    def send(self, message: Image) -> Image:
        """Send an image and give what comes back."""
        before = len(self.received)
        self.camera.publish(message)
        self.until(lambda: len(self.received) > before)
        return self.received[-1]

    def call(self, kind: type, name: str, request: object) -> object:
        client = self.create_client(kind, f'derain/{name}')
        self.until(client.service_is_ready)
        future = client.call_async(request)
        self.until(future.done)
        return future.result()

    def transition(self, identifier: int) -> bool:
        request = ChangeState.Request(transition=Transition(id=identifier))
        return self.call(ChangeState, 'change_state', request).success

    def state(self) -> int:
        return self.call(GetState, 'get_state', GetState.Request()).current_state.id


class Copy:
    """An engine that changes nothing."""

    name, precision, problem = 'copy', 'u8', ''

    def infer(self, frames, out, order, timeout=None) -> None:
        out[:] = frames

    def close(self) -> None:
        pass


def image(height: int = 48, width: int = 64, encoding: str = 'bgr8', channels: int = 3) -> Image:
    message = Image(height=height, width=width, encoding=encoding, step=width * channels)
    noise = np.random.default_rng(0).integers(0, 256, height * width * channels, np.uint8)
    message.data = array('B', noise.tobytes())
    message.header.frame_id = 'camera_front'
    message.header.stamp.sec, message.header.stamp.nanosec = 1234, 567890
    return message


def values(status: DiagnosticStatus) -> dict[str, str]:
    return {value.key: value.value for value in status.values}
