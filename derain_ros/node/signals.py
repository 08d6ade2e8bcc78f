"""Numbers for whoever tunes or watches the node, each published only if somebody listens."""

from __future__ import annotations

from rclpy.node import Node
from rclpy.publisher import Publisher
from std_msgs.msg import Float32

from derain_ros.stream.fates import Result

TOPICS = (
    'rain',
    'debug/changed_share',
    'debug/mean_change',
    'debug/inference_ms',
    'debug/processing_ms',
    'debug/stamp_to_publish_ms',
)


class Signals:
    """The signals of one camera: ``~/rain`` and ``~/debug/...``, below its name if it has one."""

    def __init__(self, node: Node, camera: str) -> None:
        # the name of a camera may be absolute
        prefix = f'~/{camera.strip("/")}/' if camera else '~/'
        self._node = node
        self._publishers: dict[str, Publisher[Float32]] = {
            topic: node.create_publisher(Float32, prefix + topic, 5) for topic in TOPICS
        }

    def publish(self, result: Result, age_s: float | None) -> None:
        """
        Publish what is known of one image.

        :param age_s: from the stamp of its header to its publication; None if it was looked at
            only, for the rain gate.
        """
        numbers: dict[str, float] = {}
        if age_s is not None:
            numbers |= {
                'debug/processing_ms': result.latency_s * 1e3,
                'debug/stamp_to_publish_ms': age_s * 1e3,
            }
        if result.inspection is not None:
            numbers |= {
                'rain': result.inspection.rain,
                'debug/changed_share': result.inspection.changed,
                'debug/mean_change': result.inspection.mean_change,
                'debug/inference_ms': result.inference_s * 1e3,
            }
        for topic, number in numbers.items():
            if self._publishers[topic].get_subscription_count():
                self._publishers[topic].publish(Float32(data=number))

    def destroy(self) -> None:
        """Destroy the publishers."""
        for publisher in self._publishers.values():
            self._node.destroy_publisher(publisher)
