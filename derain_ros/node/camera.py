"""One camera of the node: its topics, its stream, and what is reported of it."""

from __future__ import annotations

import time
from typing import cast

from rclpy.lifecycle import LifecycleNode
from rclpy.qos import qos_profile_sensor_data
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage, Image

from derain_ros.engine.base import Engine
from derain_ros.errors import quoted
from derain_ros.image.compressed import CompressedCodec
from derain_ros.image.raw import RawCodec
from derain_ros.node.camera_info import CameraInfoRelay, info_topic
from derain_ros.node.causes import circle, why_silent
from derain_ros.node.events import on_loss
from derain_ros.node.log import ThrottledLog
from derain_ros.node.outputs import Outputs
from derain_ros.node.parameters import OVERRIDABLE, Settings
from derain_ros.node.signals import Signals
from derain_ros.stream.fates import Fate, Result
from derain_ros.stream.gate import Gate, GateMode
from derain_ros.stream.health import Health, Level, Report, Snapshot
from derain_ros.stream.policy import Policy
from derain_ros.stream.scheduler import Scheduler
from derain_ros.stream.stream import Stream

# A subscriber that comes back within this time finds the camera still connected.
LINGER_S = 2.0


class Camera:
    """
    De-rains ``image_raw`` into ``image_derained``, header untouched.

    It publishes from configure to cleanup. From activate to deactivate it subscribes, but only
    while somebody subscribes to its output.
    """

    def __init__(
        self, node: LifecycleNode, name: str, settings: Settings, log: ThrottledLog
    ) -> None:
        """
        Create the publishers.

        :param name: of the camera, before its topics; empty for the only one.
        """
        prefix = f'{name}/' if name else ''
        self.name, self._node, self._log = name, node, log
        self._settings, self._is_enabled = settings, True
        self._is_compressed = node.get_parameter('image_transport').value == 'compressed'
        image_topic = node.resolve_topic_name(f'{prefix}image_raw')
        # of the remapped topic, as image_transport does it from Kilted on
        self.input_topic = image_topic + ('/compressed' if self._is_compressed else '')
        self.outputs = Outputs(
            node, f'{prefix}image_derained', settings.compression, self.look_for_subscribers
        )
        self._relay = self._make_relay(image_topic)
        self._signals = Signals(node, name)
        self._stream: Stream | None = None
        self._scheduler: Scheduler | None = None
        self._subscription: Subscription[Image | CompressedImage] | None = None
        self._wanted_at = float('-inf')

    def start(self, scheduler: Scheduler) -> None:
        """
        Have a scheduler de-rain what comes from now on.

        :raises Exception: rclpy's own; an override of the QoS has a value that cannot be.
        """
        self._health = Health()
        self._lost, self._last_image = 0, ''
        self._scheduler = scheduler
        codec = CompressedCodec(Image()) if self._is_compressed else RawCodec(Image())
        self._stream = scheduler.add_stream(codec, self._deliver, Policy(1.0, Gate()))
        self.apply(self._settings)
        # at first in any case: so a QoS that cannot be is found out now
        self._wanted_at, self._subscription = time.monotonic(), self._subscribe()
        if self._relay is not None:
            self._relay.start()

    def look_for_subscribers(self) -> None:
        """Subscribe to the camera while somebody wants its images, and a moment longer."""
        if self._stream is None:
            return
        now = time.monotonic()
        if self.outputs.are_wanted:
            self._wanted_at = now
            if self._subscription is None:
                self._subscription = self._subscribe()
        elif self._subscription is not None and now - self._wanted_at >= LINGER_S:
            self.unsubscribe()

    def unsubscribe(self) -> None:
        """Take no more images; what is in work still leaves."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

    def stop(self) -> None:
        """Forget the scheduler, which must be closed or about to be."""
        self.unsubscribe()
        if self._relay is not None:
            self._relay.stop()
        # the scheduler holds the engine, which may go now
        self._stream = self._scheduler = None

    def destroy(self) -> None:
        """Destroy all topics."""
        self.stop()
        self.outputs.destroy()
        self._signals.destroy()
        if self._relay is not None:
            self._relay.destroy()

    def apply(self, settings: Settings) -> None:
        """Take settings over, from the image that waits on."""
        self._settings = settings
        self.outputs.compression = settings.compression
        if self._scheduler is not None and self._stream is not None:
            self._scheduler.set_deadline(self._stream, settings.deadline_s)
            mode = settings.gate if self._is_enabled else 'off'
            self._stream.policy.gate.mode = cast(GateMode, mode)
            self._stream.policy.max_change = settings.max_change

    def enable(self, enabled: bool) -> None:
        """Switch de-raining off, or on as the gate has it."""
        self._is_enabled = enabled
        self.apply(self._settings)

    def report(self, engine: Engine) -> Report:
        """Return the report of the time since the last one; the camera must have been started."""
        assert self._stream is not None and self._scheduler is not None
        self.look_for_subscribers()
        now = Snapshot(self._stream.counts, self._lost, self._scheduler.overdue_s)
        report = self._health.report(engine, now, self._why_silent)
        report.values['last_image'] = self._last_image
        round_trip = circle(self._node, self.input_topic, self.outputs.topics)
        if round_trip:
            return report.with_problem(Level.ERROR, round_trip)
        if self._subscription is None and report.level is Level.OK:
            return Report(Level.OK, 'idle: no subscribers', report.values)
        return report

    def _make_relay(self, image_topic: str) -> CameraInfoRelay | None:
        if not self._node.get_parameter('relay_camera_info').value:
            return None
        if info_topic(image_topic) == info_topic(self.outputs.topic):
            self._node.get_logger().warning(
                f'relay_camera_info has no effect: {info_topic(image_topic)} already lies beside '
                f'{self.outputs.topic}'
            )
            return None
        return CameraInfoRelay(self._node, image_topic, self.outputs.topic)

    def _subscribe(self) -> Subscription[Image | CompressedImage]:
        self._health.note_subscription()
        return self._node.create_subscription(
            CompressedImage if self._is_compressed else Image,
            self.input_topic,
            self._receive,
            qos_profile_sensor_data,
            event_callbacks=on_loss(self._note_lost),
            qos_overriding_options=OVERRIDABLE,
        )

    def _receive(self, message: Image | CompressedImage) -> None:
        if self._scheduler is None or self._stream is None:
            return
        self._last_image = (
            quoted(message.format)
            if isinstance(message, CompressedImage)
            else f'{message.width}x{message.height} {quoted(message.encoding)}'
        )
        self._scheduler.submit(self._stream, message)

    def _note_lost(self, count: int) -> None:
        self._lost += count

    def _why_silent(self, seconds: float) -> str:
        if self._subscription is None:
            return ''
        return why_silent(self._node, self._subscription, seconds)

    def _deliver(self, result: Result) -> None:
        """Publish a result; called on a thread of the scheduler, or in ``submit``."""
        if not self._node.context.ok():  # after a signal nothing can be published or logged
            return
        if result.fate in (Fate.PASSED_THROUGH, Fate.DROPPED):
            fate = 'dropped' if result.fate is Fate.DROPPED else 'passed through unchanged'
            self._warn(f'image {fate}: {result.reason}')
        if result.fate is Fate.DROPPED:
            return
        try:
            age_s = None
            if result.message is not None:
                self.outputs.publish(result.message)
                now, stamp = self._node.get_clock().now().nanoseconds, result.message.header.stamp
                age_s = (now - stamp.sec * 10**9 - stamp.nanosec) / 1e9
            self._health.add_result(result, age_s)
            self._signals.publish(result, age_s)
        except Exception as error:  # DDS's own; and a signal invalidates the publisher any time
            if self._node.context.ok():
                self._warn(f'image not published: {error}')

    def _warn(self, problem: str) -> None:
        """Say it in the log, and in the next report."""
        self._health.add_problem(problem)
        self._log.error(self.name, f'{self.name}: {problem}' if self.name else problem)


def topic_conflict(cameras: list[Camera]) -> str:
    """Return which topic the cameras of one node may not share, and why; empty if they do not."""
    inputs = [camera.input_topic for camera in cameras]
    outputs = [topic for camera in cameras for topic in camera.outputs.topics]
    for topic in outputs:
        if topic in inputs:
            return (
                f'{topic} is image_raw and image_derained of this node, so that images would '
                'circle for ever: remap one of them'
            )
        if outputs.count(topic) > 1:
            return (
                f'{topic} is image_derained of several cameras: name each camera once, and give '
                'each an output of its own'
            )
    return ''
