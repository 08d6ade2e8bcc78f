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

from derain_ros.node.transport import profile_variable

COMPRESSED = '/compressed'
SHARED_MEMORY = Path('/dev/shm')
# processes that each take a segment: camera, node, and whoever looks at the result
PROCESSES = 3


def why_silent(node: Node, subscription: Subscription[Any], seconds: float) -> str:
    """Return what hinders images from coming, and what to do."""
    topic = subscription.topic_name
    publishers = node.get_publishers_info_by_topic(topic)
    needed = f'sensor_msgs/msg/{subscription.msg_type.__name__}'
    cameras = [publisher for publisher in publishers if publisher.topic_type == needed]
    others = {publisher.topic_type for publisher in publishers} - {needed}
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
        return silence + (
            f'{", ".join(sorted(others))} is published there, and {needed} is needed'
        )
    other, transport = (
        (topic.removesuffix(COMPRESSED), 'raw')
        if topic.endswith(COMPRESSED)
        else (topic + COMPRESSED, 'compressed')
    )
    if node.count_publishers(other):
        return silence + f'only {other} is published; set image_transport to {transport}'
    return silence + 'is a camera publishing there?'


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
