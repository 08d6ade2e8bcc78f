"""Passes camera_info on where the output lies in another namespace than the camera."""

from __future__ import annotations

from rclpy.lifecycle import LifecycleNode, LifecyclePublisher
from rclpy.qos import qos_profile_sensor_data, QoSProfile
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo

from derain_ros.node.parameters import OVERRIDABLE


def info_topic(image_topic: str) -> str:
    """Return the topic of the camera_info beside an image, as image_transport has it."""
    return f'{image_topic.rpartition("/")[0]}/camera_info'


class CameraInfoRelay:
    """Publishes every camera_info of the camera beside its output, as it came."""

    def __init__(self, node: LifecycleNode, image_topic: str, output_topic: str) -> None:
        """Create the publisher; both topics are those of raw images, in full."""
        self._node, self._source = node, info_topic(image_topic)
        self._subscription: Subscription[CameraInfo] | None = None
        self._publisher: LifecyclePublisher[CameraInfo] = node.create_lifecycle_publisher(
            CameraInfo,
            info_topic(output_topic),
            QoSProfile(depth=5),
            qos_overriding_options=OVERRIDABLE,
        )

    def start(self) -> None:
        """Subscribe to the camera."""
        self._subscription = self._node.create_subscription(
            CameraInfo,
            self._source,
            self._publisher.publish,
            qos_profile_sensor_data,
            qos_overriding_options=OVERRIDABLE,
        )

    def stop(self) -> None:
        """Take no more."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

    def destroy(self) -> None:
        """Destroy both ends."""
        self.stop()
        self._node.destroy_lifecycle_publisher(self._publisher)
