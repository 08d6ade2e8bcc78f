"""A car around a node, and the faults that happen in cars."""

from collections.abc import Callable
import os
from pathlib import Path
import subprocess
import sys
import time

from _images import noise
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data, QoSProfile
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage, Image

RATE_HZ = 5.0
PATIENCE_S = 60.0
SIZES = ((48, 64), (93, 141), (120, 160), (180, 320))
RESTART = (
    Transition.TRANSITION_DEACTIVATE,
    Transition.TRANSITION_CLEANUP,
    Transition.TRANSITION_CONFIGURE,
    Transition.TRANSITION_ACTIVATE,
)
PAUSE = (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_ACTIVATE)
# without the profile: a process that is killed would leave its segment in /dev/shm
OTHER_CAMERA = """
import sys, time
import rclpy
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from _images import noise
rclpy.init()
node = rclpy.create_node('other', namespace=sys.argv[1])
camera = node.create_publisher(Image, 'image_raw', qos_profile_sensor_data)
message = noise(48, 64)
while True:
    camera.publish(message)
    time.sleep(0.05)
"""


class Car:
    """
    A camera and a consumer of a node, and a hand on its lifecycle.

    :ivar faults: each is called with a random generator, and takes one to three seconds.
    :ivar came: images that came back.
    """

    def __init__(self, namespace: str) -> None:
        self.came = 0
        self._last = Image()
        self._ros: Node = rclpy.create_node('car', namespace=namespace)
        self._images = [noise(*size) for size in SIZES]
        self._camera = self._ros.create_publisher(Image, 'image_raw', qos_profile_sensor_data)
        self._consumer = self._consume()
        self._change = self._ros.create_client(ChangeState, 'derain/change_state')
        self.faults: list[Callable[[np.random.Generator], None]] = [
            self.change_size,
            self.break_images,
            self.kill_a_camera,
            self.let_subscribers_come_and_go,
            self.leave_nobody_listening,
            self.burst,
            self.pause,
            self.restart,
        ]

    def close(self) -> None:
        self._ros.destroy_node()

    def expect_derained(self) -> None:
        """
        Publish an image of each size until it comes back de-rained.

        So the node has a network compiled for each of them, and its memory can be compared.

        :raises TimeoutError: one did not within ``PATIENCE_S``.
        """
        for sent in self._images:
            end, self._last = time.monotonic() + PATIENCE_S, Image()
            while len(self._last.data) != len(sent.data) or self._last.data == sent.data:
                if time.monotonic() > end:
                    raise TimeoutError(
                        f'{sent.width}x{sent.height} did not come back de-rained within '
                        f'{PATIENCE_S:.0f} s'
                    )
                self._camera.publish(sent)
                self._spin(1 / RATE_HZ)

    def _consume(self) -> Subscription[Image]:
        return self._ros.create_subscription(
            Image, 'image_derained', self._receive, QoSProfile(depth=5)
        )

    def _receive(self, message: Image) -> None:
        self.came += 1
        self._last = message

    def _spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left_s := end - time.monotonic()) > 0:
            rclpy.spin_once(self._ros, timeout_sec=left_s)

    def change_size(self, rng: np.random.Generator) -> None:
        for index in rng.integers(len(self._images), size=10):
            self._camera.publish(self._images[index])
            self._spin(0.1)

    def break_images(self, rng: np.random.Generator) -> None:
        for _ in range(20):
            broken = noise(*SIZES[0])
            field = rng.choice(['height', 'width', 'step', 'encoding', 'data'])
            if field == 'encoding':
                broken.encoding = str(rng.choice(['', 'bgr16', 'bayer_rggb8', 'jpeg', 'é' * 100]))
            elif field == 'data':
                broken.data = broken.data[: rng.integers(len(broken.data))]
            else:
                setattr(broken, field, int(rng.integers(2**32)))
            self._camera.publish(broken)
            self._spin(0.05)

    def kill_a_camera(self, rng: np.random.Generator) -> None:
        plain = {key: value for key, value in os.environ.items() if 'PROFILES_FILE' not in key}
        camera = subprocess.Popen(
            [sys.executable, '-c', OTHER_CAMERA, self._ros.get_namespace()],
            env=plain,
            cwd=Path(__file__).parent,
        )
        self._spin(1 + 2 * rng.random())
        camera.kill()
        camera.wait()

    def let_subscribers_come_and_go(self, rng: np.random.Generator) -> None:
        for index in range(10):
            kind, topic = ((Image, ''), (CompressedImage, '/compressed'))[index % 2]
            subscription = self._ros.create_subscription(
                kind, f'image_derained{topic}', lambda _: None, QoSProfile(depth=5)
            )
            self._camera.publish(self._images[0])
            self._spin(0.1)
            self._ros.destroy_subscription(subscription)

    def leave_nobody_listening(self, rng: np.random.Generator) -> None:
        self._ros.destroy_subscription(self._consumer)
        for _ in range(15):
            self._camera.publish(self._images[0])
            self._spin(0.2)
        self._consumer = self._consume()

    def burst(self, rng: np.random.Generator) -> None:
        for _ in range(round(10 * RATE_HZ)):
            self._camera.publish(self._images[0])
            self._spin(0.1 / RATE_HZ)

    def pause(self, rng: np.random.Generator) -> None:
        self._go(PAUSE)

    def restart(self, rng: np.random.Generator) -> None:
        self._go(RESTART)

    def _go(self, transitions: tuple[int, ...]) -> None:
        """
        Lead the node through its states; while its engine is busy it may refuse, so ask again.

        :raises TimeoutError: it did not comply within ``PATIENCE_S``.
        """
        for transition in transitions:
            self._camera.publish(self._images[0])
            end, request = time.monotonic() + PATIENCE_S, ChangeState.Request()
            request.transition.id = transition
            while True:
                future = self._change.call_async(request)
                rclpy.spin_until_future_complete(self._ros, future, timeout_sec=PATIENCE_S)
                if future.done() and future.result().success:
                    break
                if time.monotonic() > end:
                    raise TimeoutError(f'transition {transition} was refused or not answered')
