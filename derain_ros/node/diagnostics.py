"""
The reports of the node on ``/diagnostics``.

``diagnostic_updater`` would make the messages too, but it has no wheel, so that what it reports
could not be tested where ROS is not installed; and it brings a timer of its own on the system's
clock, which may be set back.
"""

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node
from rclpy.time import Time

from derain_ros.stream.health import Level, Report

LEVELS = {
    Level.OK: DiagnosticStatus.OK,
    Level.WARN: DiagnosticStatus.WARN,
    Level.ERROR: DiagnosticStatus.ERROR,
}


def status(node: Node, camera: str, topic: str, report: Report) -> DiagnosticStatus:
    """
    Return a report as a message.

    :param camera: name of the camera, empty for the only one.
    :param topic: the camera's topic, by which an aggregator may group.
    """
    return DiagnosticStatus(
        level=LEVELS[report.level],
        name=f'{node.get_fully_qualified_name()}: {camera or "de-raining"}',
        message=report.message,
        hardware_id=topic,
        values=[KeyValue(key=key, value=value) for key, value in report.values.items()],
    )


def array(node: Node, statuses: list[DiagnosticStatus]) -> DiagnosticArray:
    """Return the message of all reports; its stamp is 0 if the clock is beyond what ROS holds."""
    message = DiagnosticArray(status=statuses)
    try:
        message.header.stamp = node.get_clock().now().to_msg()
    except (AssertionError, OverflowError, ValueError):  # a clock before 1970 or after 2038
        message.header.stamp = Time().to_msg()
    return message
