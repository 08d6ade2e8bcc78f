"""A camera that plays a source, and a consumer that records what comes back de-rained."""

from array import array
from collections import Counter
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

from derain_ros.node.handshake import CONNECTING, counts, FATES, Handshake

TYPES = get_typestore(Stores.ROS2_HUMBLE)


@dataclass
class Flight:
    """
    What was seen of the frames.

    :param sent: stamps in ns, which identify a frame.
    :param arrived: stamp to time of arrival, both in ns.
    :param counts: what the node last reported to have become of the frames.
    :param baseline: the same before the first frame in ``sent``.
    :param damage: what is wrong with the source, '' if it was shown whole.
    """

    sent: list[int] = field(default_factory=list)
    arrived: dict[int, int] = field(default_factory=dict)
    counts: Counter = field(default_factory=Counter)
    baseline: Counter = field(default_factory=Counter)
    model: str | None = None
    engine: str | None = None
    precision: str | None = None
    damage: str = ''

    def count(self, fate: str) -> int:
        """Return how many of the sent frames met a fate, as the node last reported."""
        return self.counts[fate] - self.baseline[fate]


class Camera(Node):
    """Publishes ``image_raw``; receives ``image_derained`` and records it into a bag."""

    def __init__(self, bag: Path, namespace: str, first: Shot) -> None:
        """
        Start to publish, and to record.

        :param bag: to write; it does not exist.
        :param first: is shown to the node until one of it comes back.
        """
        super().__init__('camera', namespace=namespace)
        self.flight = Flight()
        self.returned = threading.Event()
        self.said = ''  # by the node in its last report
        self._handshake = Handshake(lambda: self._publish(first, CONNECTING))
        self._publisher = self.create_publisher(Image, 'image_raw', qos_profile_sensor_data)
        self._subscription = self.create_subscription(
            Image, 'image_derained', self._receive, QoSProfile(depth=10)
        )
        self.create_subscription(DiagnosticArray, '/diagnostics', self._diagnose, 10)
        self._writer = Writer(bag, version=9, storage_plugin=StoragePlugin.MCAP)
        self._writer.open()
        self._connection = self._writer.add_connection(
            self._subscription.topic_name, 'sensor_msgs/msg/Image', typestore=TYPES
        )

    def connect(self) -> bool:
        """Tell whether the node and both ends have found each other, and counting may start."""
        self.flight.baseline = self._handshake.baseline
        return self._handshake.done()

    def is_seen(self) -> bool:
        """Tell whether a node subscribes to the images."""
        return self._publisher.get_subscription_count() > 0

    def publish(self, shot: Shot) -> None:
        """Publish a frame, stamped now."""
        self.returned.clear()
        self.flight.sent.append(self._publish(shot, 'camera'))

    def settled(self) -> bool:
        """Tell whether every frame has come back or was replaced, and the node has said so."""
        flight = self.flight
        sent = len(flight.sent)
        return sent <= len(flight.arrived) + flight.count('replaced') and sent <= sum(
            flight.count(fate) for fate in FATES
        )

    def close(self) -> None:
        """Finish the bag."""
        self._writer.close()

    def _publish(self, shot: Shot, frame_id: str) -> int:
        height, width, _ = shot.image.shape
        message = Image(height=height, width=width, encoding='bgr8', step=3 * width)
        message.data = array('B', shot.image.tobytes())
        message.header.frame_id = frame_id
        now = self.get_clock().now()
        message.header.stamp = now.to_msg()
        self._publisher.publish(message)
        return now.nanoseconds

    def _receive(self, message: Image) -> None:
        arrival = time.time_ns()
        if message.header.frame_id == CONNECTING:
            self._handshake.returned()
            return
        self.flight.arrived[Time.from_msg(message.header.stamp).nanoseconds] = arrival
        self.returned.set()
        self._writer.write(self._connection, arrival, _serialize(message))

    def _diagnose(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if not status.name.startswith(self.get_namespace() + '/'):
                continue
            self.said = status.message
            counted = counts(status)
            if counted:  # without it the node is not at work, and says why
                values = {value.key: value.value for value in status.values}
                self.flight.model = values.get('model')
                self.flight.engine = values.get('engine')
                self.flight.precision = values.get('precision')
                self.flight.counts = counted
                self._handshake.reported(counted)


def _serialize(message: Image) -> memoryview:
    """Serialize with rosbags, which takes the pixels as they lie, unlike rclpy."""
    types = TYPES.types
    stamp = message.header.stamp
    return TYPES.serialize_cdr(
        types['sensor_msgs/msg/Image'](
            header=types['std_msgs/msg/Header'](
                stamp=types['builtin_interfaces/msg/Time'](sec=stamp.sec, nanosec=stamp.nanosec),
                frame_id=message.header.frame_id,
            ),
            height=message.height,
            width=message.width,
            encoding=message.encoding,
            is_bigendian=message.is_bigendian,
            step=message.step,
            data=np.frombuffer(message.data, np.uint8),
        ),
        'sensor_msgs/msg/Image',
    )
