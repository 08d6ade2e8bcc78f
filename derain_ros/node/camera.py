"""One camera of the node: its topics, its stream, and what is reported of it."""

from __future__ import annotations

from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.lifecycle import LifecycleNode, LifecyclePublisher
from rclpy.qos import qos_profile_sensor_data, QoSProfile
from rclpy.subscription import Subscription
from sensor_msgs.msg import Image

from derain_ros.engine.base import Engine
from derain_ros.errors import quoted
from derain_ros.image.raw import RawCodec
from derain_ros.node.causes import why_silent
from derain_ros.node.log import ThrottledLog
from derain_ros.node.parameters import OVERRIDABLE
from derain_ros.stream.fates import Fate, Result
from derain_ros.stream.health import Health, Report, Snapshot
from derain_ros.stream.policy import Policy
from derain_ros.stream.scheduler import Scheduler
from derain_ros.stream.stream import Stream


class Camera:
    """
    De-rains ``image_raw`` into ``image_derained``, header untouched.

    It publishes from configure to cleanup, and subscribes from activate to deactivate.
    """

    def __init__(self, node: LifecycleNode, name: str, log: ThrottledLog) -> None:
        """
        Create the publisher.

        :param name: of the camera, before its topics; empty for the only one.
        """
        self.name = name
        self._node, self._log = node, log
        self._prefix = f'{name}/' if name else ''
        self.input_topic = node.resolve_topic_name(f'{self._prefix}image_raw')
        self.output_topic = node.resolve_topic_name(f'{self._prefix}image_derained')
        self._publisher: LifecyclePublisher[Image] = node.create_lifecycle_publisher(
            Image,
            f'{self._prefix}image_derained',
            QoSProfile(depth=5),
            qos_overriding_options=OVERRIDABLE,
        )
        self._stream: Stream | None = None
        self._scheduler: Scheduler | None = None
        self._subscription: Subscription[Image] | None = None

    def start(self, scheduler: Scheduler, deadline_s: float) -> None:
        """Subscribe, and have the scheduler de-rain what comes."""
        self._health = Health()
        self._lost = 0
        self._last = ''
        self._scheduler = scheduler
        self._stream = scheduler.add_stream(
            RawCodec(Image()), self._deliver, Policy(deadline_s=deadline_s)
        )
        self._subscription = self._node.create_subscription(
            Image,
            f'{self._prefix}image_raw',
            self._receive,
            qos_profile_sensor_data,
            event_callbacks=SubscriptionEventCallbacks(message_lost=self._note_lost),
            qos_overriding_options=OVERRIDABLE,
        )

    def stop(self) -> None:
        """Unsubscribe; what is in work still leaves."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

    def destroy(self) -> None:
        """Destroy the publisher."""
        self.stop()
        self._node.destroy_lifecycle_publisher(self._publisher)
        # the scheduler holds the engine, which may go now
        self._stream = self._scheduler = None

    def set_deadline(self, deadline_s: float) -> None:
        """Change the deadline, from the image that waits on."""
        if self._scheduler is not None and self._stream is not None:
            self._scheduler.set_deadline(self._stream, deadline_s)

    def enable(self, enabled: bool) -> None:
        """Switch de-raining on or off; off, images pass through."""
        if self._stream is not None:
            self._stream.policy.enabled = enabled

    def report(self, engine: Engine) -> Report:
        """Return the report of the time since the last one; the camera must have been started."""
        assert self._stream is not None and self._scheduler is not None
        now = Snapshot(self._stream.counts, self._lost, self._scheduler.overdue_s)
        report = self._health.report(engine, now, self._why_silent)
        report.values['last_image'] = self._last
        return report

    def _receive(self, message: Image) -> None:
        assert self._stream is not None and self._scheduler is not None
        self._last = f'{message.width}x{message.height} {quoted(message.encoding)}'
        self._scheduler.submit(self._stream, message)

    def _note_lost(self, event: object) -> None:
        self._lost += event.total_count_change  # type: ignore[attr-defined]

    def _why_silent(self, seconds: float) -> str:
        if self._subscription is None:
            return ''
        return why_silent(self._node, self._subscription, seconds)

    def _deliver(self, result: Result) -> None:
        """Publish a result; called on a thread of the scheduler."""
        if result.fate in (Fate.PASSED_THROUGH, Fate.DROPPED):
            fate = 'dropped' if result.fate is Fate.DROPPED else 'passed through unchanged'
            self._warn(f'image {fate}: {result.reason}')
        if result.message is None:
            return
        try:
            self._publisher.publish(result.message)
            now, stamp = self._node.get_clock().now().nanoseconds, result.message.header.stamp
            age_s = (now - stamp.sec * 10**9 - stamp.nanosec) / 1e9
        except Exception as error:  # DDS's own; and a signal invalidates the publisher any time
            if self._node.context.ok():
                self._warn(f'image not published: {error}')
            return
        self._health.add_result(result, age_s)

    def _warn(self, problem: str) -> None:
        """Say it in the log, and in the next report."""
        self._health.add_problem(problem)
        self._log.error(self.name, f'{self.name}: {problem}' if self.name else problem)
