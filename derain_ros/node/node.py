"""The lifecycle node: it wires topics, parameters and diagnostics, and computes nothing."""

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rcl_interfaces.msg import FloatingPointRange, ParameterDescriptor
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.qos import qos_profile_sensor_data, QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import Image

from derain_ros.engine.base import Engine
from derain_ros.engine.factory import create_engine
from derain_ros.stream.health import Health, REPORT_PERIOD
from derain_ros.stream.pipeline import Pipeline, Result

LOG_PERIOD = 5.0


class DerainNode(LifecycleNode):
    """
    De-rains ``image_raw`` into ``image_derained``, header untouched.

    Parameters are read in configure, where the engine is loaded too; subscribed from activate to
    deactivate. Images that cannot be de-rained pass through unchanged and show in /diagnostics.
    """

    def __init__(self, engine: Engine | None = None) -> None:
        """
        Declare the parameters.

        :param engine: runs instead of the one that the parameters name.
        """
        super().__init__('derain')
        self._given_engine = engine
        self._engine: Engine | None = None
        self._pipeline: Pipeline | None = None
        self._subscription = None
        self._health = Health()
        self._failure = ''
        self._declare_parameters()
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        # a system clock that is set back would silence reports and log for as long
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = self.create_timer(REPORT_PERIOD, self._report, clock=self._steady)

    def _declare_parameters(self) -> None:
        def declare(
            name: str, default: object, description: str, bounds: FloatingPointRange | None = None
        ) -> None:
            self.declare_parameter(
                name,
                default,
                ParameterDescriptor(
                    description=description, floating_point_range=[bounds] if bounds else []
                ),
            )

        declare('autostart', True, 'Configure and activate at start, without a lifecycle manager.')
        declare(
            'engine',
            'auto',
            'What runs the network: auto, tensorrt or openvino. Read in configure.',
        )
        declare('model', 'fast', 'Released model, or path of an ONNX file. Read in configure.')
        declare(
            'deadline',
            1.0,
            'Seconds from reception after which an image passes through '
            'unchanged. Read in configure.',
            FloatingPointRange(from_value=0.001, to_value=60.0),
        )

    def start(self) -> None:
        """Configure and activate where ``autostart`` says so."""
        if (
            self.get_parameter('autostart').value
            and self.trigger_configure() == TransitionCallbackReturn.SUCCESS
        ):
            self.trigger_activate()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        name, model = (self.get_parameter(key).value for key in ('engine', 'model'))
        self._deadline = self.get_parameter('deadline').value
        try:
            self._engine = self._given_engine or create_engine(name, model, self.get_logger())
            self._images = self.create_lifecycle_publisher(
                Image,
                'image_derained',
                QoSProfile(depth=5),
                qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            )
        except Exception as error:  # rclpy says nothing of what a transition raises
            self._engine = None
            return self._fail(f'not configured: {error}')
        self._failure = ''
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        if self._engine is None:
            return self._fail('not activated: the engine hangs; clean up and configure again')
        pipeline = Pipeline(self._engine, Image(), self._deliver, deadline=self._deadline)
        try:
            self._subscription = self.create_subscription(
                Image,
                'image_raw',
                pipeline.submit,
                qos_profile_sensor_data,
                qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            )
        except Exception as error:  # rclpy says nothing of what a transition raises
            pipeline.close()
            return self._fail(f'not activated: {error}')
        self._failure = ''
        self._pipeline, self._health = pipeline, Health()
        self._timer.reset()
        self.get_logger().info(
            f'de-raining {self._subscription.topic_name} into {self._images.topic_name} '
            f'with {self._engine.name} ({self._engine.precision})'
        )
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._stop()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.destroy_lifecycle_publisher(self._images)
        self._drop_engine()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._stop()
        self._drop_engine()
        return TransitionCallbackReturn.SUCCESS

    def _LifecycleNodeMixin__change_state(  # noqa: N802  rclpy's own, which calls it by this name
        self, transition_id: int
    ) -> TransitionCallbackReturn:
        """Refuse a transition out of order, for which rclpy of Humble and Jazzy ends the node."""
        try:
            return super()._LifecycleNodeMixin__change_state(transition_id)
        except RuntimeError as error:  # https://github.com/ros2/rclpy/issues/1209
            self.get_logger().error(f'transition refused: {error}')
            return TransitionCallbackReturn.ERROR

    def _fail(self, failure: str) -> TransitionCallbackReturn:
        """Say why a transition failed, in the log and in every report until one succeeds."""
        self._failure = failure
        self.get_logger().error(failure)
        return TransitionCallbackReturn.FAILURE

    def destroy_node(self) -> None:
        """Stop the worker thread, then destroy the node."""
        self._stop()
        super().destroy_node()

    def _stop(self) -> None:
        if self._pipeline is not None:
            self.destroy_subscription(self._subscription)
            if not self._pipeline.close():
                self._engine = None
            # the subscription's callback is the pipeline's, and that holds the engine
            self._pipeline = self._subscription = None

    def _drop_engine(self) -> None:
        if self._engine is not None and self._engine is not self._given_engine:
            self._engine.close()
        self._engine, self._failure = None, ''

    def _deliver(self, result: Result) -> None:
        """Publish a result; called on the pipeline's thread."""
        if result.error is not None:
            fate = 'dropped' if result.message is None else 'passed through unchanged'
            self._warn(f'image {fate}: {result.error}')
        try:
            if result.message is not None:
                self._images.publish(result.message)
        except Exception as error:  # DDS's own; and a signal invalidates the publisher any time
            if self.context.ok():
                self._warn(f'image not published: {error}')
            return
        if result.error is None:
            self._health.add_latency(result.latency)

    def _warn(self, problem: str) -> None:
        """Say it in the log, and in the next report."""
        self._health.add_problem(problem)
        self.get_logger().error(
            problem, throttle_duration_sec=LOG_PERIOD, throttle_time_source_type=self._steady
        )

    def _silence(self, seconds: float) -> str:
        topic = self._subscription.topic_name
        kinds = {publisher.topic_type for publisher in self.get_publishers_info_by_topic(topic)}
        others = ', '.join(sorted(kinds - {'sensor_msgs/msg/Image'}))
        return f'no image on {topic} for {seconds:.0f} s: ' + (
            f'{others} is published there, and sensor_msgs/msg/Image is needed'
            if others
            else 'is a camera publishing there?'
        )

    def _report(self) -> None:
        if self._pipeline is not None:
            problem, values = self._health.report(
                self._engine, self._pipeline.counts, self._silence
            )
            self._publish_status(
                DiagnosticStatus.WARN if problem else DiagnosticStatus.OK,
                problem or 'de-raining',
                values,
            )
        elif self._failure:
            self._publish_status(DiagnosticStatus.ERROR, self._failure, {})

    def _publish_status(self, level: bytes, message: str, values: dict[str, object]) -> None:
        status = DiagnosticStatus(
            level=level,
            message=message,
            name=f'{self.get_fully_qualified_name()}: de-raining',
            hardware_id=self.resolve_topic_name('image_raw'),
            values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
        )
        array = DiagnosticArray(status=[status])
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(array)
