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


CONNECTING = 'connecting'
FATES = ('derained', 'replaced', 'passed_through', 'dropped')


@dataclass
class Flight:
    """
    What was seen of the frames.

    :param sent: stamps in nanoseconds, which identify a frame.
    :param arrived: stamp to time of arrival, both in nanoseconds.
    :param counts: what the node last reported to have become of the frames.
    :param baseline: the same before the first frame in ``sent``.
    """

    sent: list[int] = field(default_factory=list)
    arrived: dict[int, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    baseline: dict[str, int] = field(default_factory=dict)
    engine: str | None = None
    precision: str | None = None

    def count(self, fate: str) -> int:
        """Count the sent frames that met a fate, as the node last reported."""
        return self.counts[fate] - self.baseline[fate]


class Camera(Node):
    """Publishes ``image_raw``; receives ``image_derained`` and records it into a bag."""

    def __init__(self, bag: Path, namespace: str) -> None:
        super().__init__('camera', namespace=namespace)
        self.flight = Flight()
        self.returned = threading.Event()
        self._connected = False
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

    def connect(self, shot: Shot) -> bool:
        """
        Show a frame to the node, as a camera that is already running would.

        Gives True once a frame has come back and every one is accounted for: both ends have
        found each other, and counting may start.
        """
        if not self._connected:
            self._publish(shot, CONNECTING)
            return False
        counts, before = self.flight.counts, self.flight.baseline
        if not counts or counts is before:
            return False
        # the last of these frames may still be on its way: wait until two reports agree
        self.flight.baseline = counts
        return counts == before and counts['received'] == sum(counts[fate] for fate in FATES)

    def publish(self, shot: Shot) -> None:
        """Publish a frame, stamped now."""
        self.returned.clear()
        self.flight.sent.append(self._publish(shot, 'camera'))

    def settled(self) -> bool:
        """Tell whether every frame has come back or was replaced, and the node has said so."""
        flight = self.flight
        return len(flight.sent) <= len(flight.arrived) + flight.count('replaced') and len(
            flight.sent
        ) <= sum(flight.count(fate) for fate in FATES)

    def close(self) -> None:
        """Finish the bag."""
        self._writer.close()

    def _publish(self, shot: Shot, frame_id: str) -> int:
        height, width, _ = shot.rainy.shape
        message = Image(height=height, width=width, encoding='bgr8', step=3 * width)
        message.data = array('B', shot.rainy.tobytes())
        message.header.frame_id = frame_id
        now = self.get_clock().now()
        message.header.stamp = now.to_msg()
        self._publisher.publish(message)
        return now.nanoseconds

    def _receive(self, message: Image) -> None:
        arrival = time.time_ns()
        if message.header.frame_id == CONNECTING:
            self._connected = True
            return
        self.flight.arrived[Time.from_msg(message.header.stamp).nanoseconds] = arrival
        self.returned.set()
        self._writer.write(self._connection, arrival, _serialize(message))

    def _diagnose(self, message: DiagnosticArray) -> None:
        for status in message.status:
            # without values the node is not at work, and says why in its own messages
            if status.values and status.name.startswith(self.get_namespace() + '/'):
                values = {value.key: value.value for value in status.values}
                self.flight.engine, self.flight.precision = values['engine'], values['precision']
                self.flight.counts = {key: int(values[key]) for key in ('received', *FATES)}


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
