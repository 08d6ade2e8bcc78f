"""The lifecycle node: it wires topics, parameters and diagnostics, and computes nothing."""
from collections import deque
import statistics
import sys

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rcl_interfaces.msg import FloatingPointRange, ParameterDescriptor
import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.qos import qos_profile_sensor_data, QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import Image

from derain_ros.engines import create_engine, Engine
from derain_ros.pipeline import Pipeline, Result

DIAGNOSTICS_PERIOD = 1.0
LOG_PERIOD = 5.0
# reports without an image after which a camera is said to be silent
SILENT_REPORTS = 3


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
        self._latencies: deque[float] = deque(maxlen=1000)
        # the worker writes, a report takes
        self._problems: deque[str] = deque(maxlen=1)
        self._declare_parameters()

    def _declare_parameters(self) -> None:
        def declare(name: str, default: object, description: str,
                    bounds: FloatingPointRange | None = None) -> None:
            self.declare_parameter(name, default, ParameterDescriptor(
                description=description, floating_point_range=[bounds] if bounds else []))

        declare('autostart', True, 'Configure and activate at start, without a lifecycle manager.')
        declare('engine', 'auto', 'What runs the network: auto, tensorrt or openvino. '
                'Read in configure.')
        declare('model', 'fast', 'Released model, or path of an ONNX file. Read in configure.')
        declare('deadline', 1.0, 'Seconds from reception after which an image passes through '
                'unchanged. Read in configure.',
                FloatingPointRange(from_value=0.001, to_value=60.0))

    def start(self) -> None:
        """Configure and activate where ``autostart`` says so."""
        if (self.get_parameter('autostart').value
                and self.trigger_configure() == TransitionCallbackReturn.SUCCESS):
            self.trigger_activate()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        name, model = (self.get_parameter(key).value for key in ('engine', 'model'))
        self._deadline = self.get_parameter('deadline').value
        try:
            self._engine = self._given_engine or create_engine(
                name, model, self.get_logger())
            self._images = self.create_lifecycle_publisher(
                Image, 'image_derained', QoSProfile(depth=5),
                qos_overriding_options=QoSOverridingOptions.with_default_policies())
        except Exception as error:  # rclpy says nothing of what a transition raises
            self.get_logger().error(f'not configured: {error}')
            return TransitionCallbackReturn.FAILURE
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        pipeline = Pipeline(self._engine, Image(), self._deliver, deadline=self._deadline)
        try:
            self._subscription = self.create_subscription(
                Image, 'image_raw', pipeline.submit, qos_profile_sensor_data,
                qos_overriding_options=QoSOverridingOptions.with_default_policies())
        except Exception as error:  # rclpy says nothing of what a transition raises
            pipeline.close()
            self.get_logger().error(f'not activated: {error}')
            return TransitionCallbackReturn.FAILURE
        self._pipeline = pipeline
        self._received = self._silent = 0
        self._timer = self.create_timer(DIAGNOSTICS_PERIOD, self._report)
        self.get_logger().info(
            f'de-raining {self._subscription.topic_name} into {self._images.topic_name} '
            f'with {self._engine.name} ({self._engine.precision})')
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._stop()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.destroy_lifecycle_publisher(self._images)
        self.destroy_publisher(self._diagnostics)
        self._engine = None
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._stop()
        return TransitionCallbackReturn.SUCCESS

    def destroy_node(self) -> None:
        """Stop the worker thread, then destroy the node."""
        self._stop()
        super().destroy_node()

    def _stop(self) -> None:
        if self._pipeline is not None:
            self.destroy_subscription(self._subscription)
            self.destroy_timer(self._timer)
            self._pipeline.close()
            self._pipeline = None

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
            self._latencies.append(result.latency)

    def _warn(self, problem: str) -> None:
        """Say it in the log, and in the next report."""
        self._problems.append(problem)
        self.get_logger().error(problem, throttle_duration_sec=LOG_PERIOD)

    def _problem(self, received: int) -> str:
        """Say what is wrong, most urgent first; nothing where all is well."""
        self._silent = 0 if received > self._received else self._silent + 1
        self._received = received
        if self._problems:
            return self._problems.pop()
        if self._engine.problem or self._silent < SILENT_REPORTS:
            return self._engine.problem
        topic = self._subscription.topic_name
        kinds = {publisher.topic_type for publisher in self.get_publishers_info_by_topic(topic)}
        others = ', '.join(sorted(kinds - {'sensor_msgs/msg/Image'}))
        return (f'no image on {topic} for {self._silent * DIAGNOSTICS_PERIOD:.0f} s: '
                + (f'{others} is published there, and sensor_msgs/msg/Image is needed'
                   if others else 'is a camera publishing there?'))

    def _report(self) -> None:
        counts, latencies = self._pipeline.counts, list(self._latencies)
        self._latencies.clear()
        problem = self._problem(counts.received)
        values = {'engine': self._engine.name, 'precision': self._engine.precision,
                  **vars(counts)}
        if latencies:
            values |= {'latency_ms_median': f'{statistics.median(latencies) * 1e3:.1f}',
                       'latency_ms_max': f'{max(latencies) * 1e3:.1f}'}
        status = DiagnosticStatus(
            level=DiagnosticStatus.WARN if problem else DiagnosticStatus.OK,
            name=f'{self.get_fully_qualified_name()}: de-raining',
            hardware_id=self._subscription.topic_name,
            message=problem or 'de-raining',
            values=[KeyValue(key=key, value=str(value)) for key, value in values.items()])
        array = DiagnosticArray(status=[status])
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(array)


def main(engine: Engine | None = None) -> None:
    """Run the node until a signal, with the given engine or the one that the parameters name."""
    rclpy.init()
    node = None
    try:
        node = DerainNode(engine)
        node.start()
        rclpy.spin(node)
    except ParameterException as error:
        sys.exit(f'error: {error}')
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except Exception:
        # a signal invalidates the context in the middle of whatever rclpy is doing
        if rclpy.ok():
            raise
    finally:
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()


if __name__ == '__main__':
    main()
