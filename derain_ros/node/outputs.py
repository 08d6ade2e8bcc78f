"""What the node publishes of one camera: raw and compressed images, each if somebody listens."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.lifecycle import LifecycleNode, LifecyclePublisher
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage, Image

from derain_ros.image import compressed
from derain_ros.image.encode import compress, Compression
from derain_ros.image.raw import finish, prepare
from derain_ros.node.events import on_match
from derain_ros.node.parameters import OVERRIDABLE


class Outputs:
    """The raw topic, and beside it ``<topic>/compressed``."""

    def __init__(
        self,
        node: LifecycleNode,
        topic: str,
        compression: Compression,
        subscribers_changed: Callable[[], None],
    ) -> None:
        """
        Create both publishers.

        :param compression: of the compressed topic; may be set anew at any time.
        :param subscribers_changed: called when a subscriber comes or goes, where rclpy tells.
        """
        self._node, self.compression = node, compression
        self.topic = node.resolve_topic_name(topic)
        events = on_match(subscribers_changed)
        self._raw: LifecyclePublisher[Image] = node.create_lifecycle_publisher(
            Image,
            topic,
            QoSProfile(depth=5),
            event_callbacks=events,
            qos_overriding_options=OVERRIDABLE,
        )
        # of the remapped topic, as image_transport does it from Kilted on
        self.topics = (self.topic, f'{self.topic}/compressed')
        self._compressed: LifecyclePublisher[CompressedImage] = node.create_lifecycle_publisher(
            CompressedImage,
            self.topics[1],
            QoSProfile(depth=5),
            event_callbacks=events,
            qos_overriding_options=OVERRIDABLE,
        )

    @property
    def are_wanted(self) -> bool:
        """Whether anybody subscribes."""
        return bool(
            self._raw.get_subscription_count() or self._compressed.get_subscription_count()
        )

    def publish(self, message: Image | CompressedImage) -> None:
        """
        Publish an image in the forms that somebody listens to.

        :raises ImageError: it cannot be compressed, or not be decompressed.
        """
        if self._raw.get_subscription_count():
            raw = message if isinstance(message, Image) else _decompressed(message)
            self._raw.publish(raw)
        if self._compressed.get_subscription_count():
            output = message
            if isinstance(message, Image):
                output = CompressedImage()
                compress(message, output, self.compression)
            self._compressed.publish(output)

    def destroy(self) -> None:
        """Destroy both publishers."""
        self._node.destroy_lifecycle_publisher(self._raw)
        self._node.destroy_lifecycle_publisher(self._compressed)


def _decompressed(message: CompressedImage) -> Image:
    frame = compressed.read(message)
    output = Image(header=message.header)
    prepare(output, frame)
    finish(output, frame, frame.pixels)
    return output
