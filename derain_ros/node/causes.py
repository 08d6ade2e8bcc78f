"""Why no images arrive, as far as the node can see."""

from __future__ import annotations

import os
from pathlib import Path
import shutil
from typing import Any
import xml.etree.ElementTree as ElementTree

from rclpy.node import Node
from rclpy.qos import qos_check_compatible, QoSCompatibility
from rclpy.subscription import Subscription
from rclpy.utilities import get_rmw_implementation_identifier
from sensor_msgs.msg import Image

from derain_ros.node.transport import profile_variable

SHARED_MEMORY = Path('/dev/shm')
# processes that each take a segment: camera, node, and whoever looks at the result
PROCESSES = 3


def why_silent(node: Node, subscription: Subscription[Any], seconds: float) -> str:
    """Return what hinders images from coming, and what to do."""
    topic = subscription.topic_name
    wanted = f'sensor_msgs/msg/{subscription.msg_type.__name__}'
    publishers = node.get_publishers_info_by_topic(topic)
    cameras = [publisher for publisher in publishers if publisher.topic_type == wanted]
    others = {publisher.topic_type for publisher in publishers} - {wanted}
    silence = f'no image on {topic} for {seconds:.0f} s: '
    for camera in cameras:
        compatible, reason = qos_check_compatible(camera.qos_profile, subscription.qos_profile)
        if compatible == QoSCompatibility.ERROR:
            return silence + (
                f'the QoS of its publisher {camera.node_namespace.rstrip("/")}/{camera.node_name} '
                f'does not fit ({reason.strip()}); set qos_overrides.{topic}.subscription'
            )
    if cameras:
        return silence + (
            'a camera is connected and sends nothing, or what it sends gets lost: images above '
            '64 kB need the shared-memory profile in the process of the camera '
            '(docs/transport.md)'
        )
    if others:
        return silence + f'{", ".join(sorted(others))} is published there, and {wanted} is needed'
    if subscription.msg_type is Image:
        other, transport = f'{topic}/compressed', 'compressed'
    else:
        other, transport = topic.removesuffix('/compressed'), 'raw'
    if node.count_publishers(other):
        return silence + f'only {other} is published: set image_transport to {transport}'
    return silence + 'is a camera publishing there?'


def circle(node: Node, input_topic: str, output_topics: tuple[str, ...]) -> str:
    """
    Return through which other de-raining node images come back to this one, if through any.

    Such images would circle for ever. A node of another kind may publish image_raw and subscribe
    to image_derained, as a test does.
    """
    waiting, passed = [input_topic], {node.get_fully_qualified_name()}
    while waiting:
        for publisher in node.get_publishers_info_by_topic(waiting.pop()):
            name = f'{publisher.node_namespace.rstrip("/")}/{publisher.node_name}'
            if name in passed:
                continue
            passed.add(name)
            subscribed = _inputs_of_deraining(node, publisher.node_name, publisher.node_namespace)
            for topic in set(output_topics) & set(subscribed):
                return (
                    f'images circle for ever: {topic} of this node comes back to {input_topic} '
                    f'through {name}; remap one of them'
                )
            waiting += subscribed
    return ''


def _inputs_of_deraining(node: Node, name: str, namespace: str) -> list[str]:
    """Return what a node subscribes to if it is a de-raining one, by its signals."""
    own = f'{namespace.rstrip("/")}/{name}/'
    try:
        published = node.get_publisher_names_and_types_by_node(name, namespace)
        subscribed = node.get_subscriber_names_and_types_by_node(name, namespace)
    except RuntimeError:  # rclpy's own, not public: the node has just gone
        return []
    signals = [topic for topic, _ in published if topic.startswith(own)]
    is_deraining = any(topic.endswith('/debug/processing_ms') for topic in signals)
    return [topic for topic, _ in subscribed] if is_deraining else []


def shared_memory_problem() -> str:
    """Return why the shared-memory profile cannot work on this machine, empty if it can."""
    profile = os.environ.get(profile_variable())
    if not profile or get_rmw_implementation_identifier() != 'rmw_fastrtps_cpp':
        return ''
    needed = PROCESSES * _segment_bytes(Path(profile))
    total = shutil.disk_usage(SHARED_MEMORY).total if SHARED_MEMORY.exists() else 0
    if total >= needed:
        return ''
    return (
        f'{SHARED_MEMORY} has {total / 2**20:.1f} MB, and the profile {profile} needs '
        f'{needed / 2**20:.0f} MB for camera, node and consumer: large images get lost; start '
        'containers with --ipc=host, or a larger --shm-size'
    )


def _segment_bytes(profile: Path) -> int:
    try:
        elements = ElementTree.parse(profile).iter()
        return max(
            (int(one.text or 0) for one in elements if one.tag.endswith('segment_size')), default=0
        )
    except (OSError, ElementTree.ParseError, ValueError):  # a user's own; Fast DDS speaks of it
        return 0
