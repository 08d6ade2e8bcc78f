"""A camera that plays a source, and a consumer that records what comes back de-rained."""
from array import array
from dataclasses import dataclass, field
from pathlib import Path
import threading
import time

from diagnostic_msgs.msg import DiagnosticArray
import numpy as np
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data, QoSProfile
from rclpy.time import Time
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import get_typestore, Stores
from sensor_msgs.msg import Image
from sources import Shot

TYPES = get_typestore(Stores.ROS2_HUMBLE)


@dataclass
class Flight:
    """What was seen of the frames; stamps are nanoseconds and identify a frame."""

    sent: list[int] = field(default_factory=list)
    arrived: dict[int, int] = field(default_factory=dict)
    counts: dict[str, str] = field(default_factory=dict)


class Camera(Node):
    """Publishes ``image_raw``; receives ``image_derained`` and records it into a bag."""

    def __init__(self, bag: Path, namespace: str) -> None:
        super().__init__('camera', namespace=namespace)
        self.flight = Flight()
        self.returned = threading.Event()
        self._publisher = self.create_publisher(Image, 'image_raw', qos_profile_sensor_data)
        self._subscription = self.create_subscription(
            Image, 'image_derained', self._receive, QoSProfile(depth=10))
        self.create_subscription(DiagnosticArray, '/diagnostics', self._diagnose, 10)
        self._writer = Writer(bag, version=9, storage_plugin=StoragePlugin.MCAP)
        self._writer.open()
        self._connection = self._writer.add_connection(
            self._subscription.topic_name, 'sensor_msgs/msg/Image', typestore=TYPES)

    def connected(self) -> bool:
        """Tell whether the de-raining node listens and is listened to."""
        return bool(self._publisher.get_subscription_count()
                    and self.count_publishers(self._subscription.topic_name))

    def publish(self, shot: Shot) -> None:
        """Publish a frame, stamped now."""
        height, width, _ = shot.rainy.shape
        message = Image(height=height, width=width, encoding='bgr8', step=3 * width)
        data = array('B')
        data.frombytes(memoryview(np.ascontiguousarray(shot.rainy)).cast('B'))
        message.data = data
        message.header.frame_id = 'camera'
        now = self.get_clock().now()
        message.header.stamp = now.to_msg()
        self.flight.sent.append(now.nanoseconds)
        self.returned.clear()
        self._publisher.publish(message)

    def settled(self) -> bool:
        """Tell whether every frame has come back or is known to have been replaced."""
        return len(self.flight.sent) <= len(self.flight.arrived) + self.replaced

    @property
    def replaced(self) -> int:
        """Frames that gave way to a newer one, as the node last reported."""
        return int(self.flight.counts.get('replaced', 0))

    def close(self) -> None:
        """Finish the bag."""
        self._writer.close()

    def _receive(self, message: Image) -> None:
        arrival = time.time_ns()
        stamp = Time.from_msg(message.header.stamp).nanoseconds
        self.flight.arrived[stamp] = arrival
        self.returned.set()
        self._writer.write(self._connection, arrival, _serialize(message))

    def _diagnose(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.startswith(self.get_namespace() + '/'):
                self.flight.counts = {value.key: value.value for value in status.values}


def _serialize(message: Image) -> memoryview:
    """Serialize with rosbags, which takes the pixels as they lie, unlike rclpy."""
    types = TYPES.types
    stamp = message.header.stamp
    return TYPES.serialize_cdr(types['sensor_msgs/msg/Image'](
        header=types['std_msgs/msg/Header'](
            stamp=types['builtin_interfaces/msg/Time'](sec=stamp.sec, nanosec=stamp.nanosec),
            frame_id=message.header.frame_id),
        height=message.height, width=message.width, encoding=message.encoding,
        is_bigendian=message.is_bigendian, step=message.step,
        data=np.frombuffer(message.data, np.uint8)), 'sensor_msgs/msg/Image')
