"""The lifecycle node: it wires topics, parameters and diagnostics, and computes nothing."""

from __future__ import annotations

from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_srvs.srv import SetBool

from derain_ros.engine.base import Engine
from derain_ros.engine.factory import create_engine
from derain_ros.node.camera import Camera, topic_conflict
from derain_ros.node.causes import shared_memory_problem
from derain_ros.node.diagnostics import array, status
from derain_ros.node.log import ThrottledLog
from derain_ros.node.memory import return_freed_memory
from derain_ros.node.parameters import (
    check_parameters,
    declare_parameters,
    overrides_without_effect,
    read_settings,
)
from derain_ros.stream.health import Level, Report, REPORT_PERIOD_S
from derain_ros.stream.scheduler import Scheduler


class DerainNode(LifecycleNode):
    """
    De-rains the images of one or more cameras.

    Parameters are read in configure, where the engine is loaded too; subscribed from activate to
    deactivate. Images that cannot be de-rained pass through unchanged and show in /diagnostics.
    """

    def __init__(self, engine: Engine | None = None) -> None:
        """
        Declare the parameters, and begin to report.

        :param engine: runs instead of the one that the parameters name.
        :raises rclpy.exceptions.ParameterException: a parameter has a value that cannot be.
        """
        super().__init__('derain')
        self._given_engine = engine
        self._engine: Engine | None = None
        self._scheduler: Scheduler | None = None
        self._cameras: list[Camera] = []
        self._state, self._failure, self._machine_problem = 'unconfigured', '', ''
        self._is_started = False
        self._log = ThrottledLog(self)
        self.add_on_set_parameters_callback(self._check_parameters)
        declare_parameters(self)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self.create_service(SetBool, '~/enable', self._enable)
        # a system clock that is set back would silence reports for as long
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = self.create_timer(REPORT_PERIOD_S, self._report, clock=steady)

    def start(self) -> None:
        """Configure and activate where ``autostart`` says so."""
        self._is_started = True
        if (
            self.get_parameter('autostart').value
            and self.trigger_configure() == TransitionCallbackReturn.SUCCESS
        ):
            self.trigger_activate()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        name, model = (self.get_parameter(key).value for key in ('engine', 'model'))
        cameras = self.get_parameter_or('cameras', Parameter('cameras', value=[''])).value
        settings = read_settings(self)
        try:
            for camera in cameras or ['']:
                self._cameras.append(Camera(self, camera, settings, self._log))
            self._engine = self._given_engine or create_engine(name, model, self.get_logger())
        except Exception as error:  # rclpy says nothing of what a transition raises
            self._forget()
            return self._fail(f'not configured: {error}')
        self._machine_problem = shared_memory_problem()
        self._state, self._failure = 'inactive', ''
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        conflict = topic_conflict(self._cameras)
        if conflict:
            return self._fail(f'not activated: {conflict}')
        if self._scheduler is not None and not self._scheduler.is_stopped:
            return self._fail(
                'not activated: the engine is still at work on an image of the time before; '
                'activate again, or clean up and configure'
            )
        assert self._engine is not None
        scheduler = Scheduler(self._engine)
        try:
            for camera in self._cameras:
                camera.start(scheduler)
        except Exception as error:  # rclpy says nothing of what a transition raises
            for camera in self._cameras:
                camera.stop()
            scheduler.close()
            return self._fail(f'not activated: {error}')
        self._scheduler = scheduler
        self._state, self._failure = 'active', ''
        self._timer.reset()
        for camera in self._cameras:
            self.get_logger().info(
                f'de-raining {camera.input_topic} into {camera.outputs.topic} '
                f'with {self._engine.name} ({self._engine.precision})'
            )
        for line in overrides_without_effect(self):
            self.get_logger().warning(line)
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._stop()
        self._state = 'inactive'
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._forget()
        self._state, self._failure = 'unconfigured', ''
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._stop()
        self._forget()
        self._state, self._failure = 'finalized', ''
        return TransitionCallbackReturn.SUCCESS

    def _LifecycleNodeMixin__change_state(  # noqa: N802  rclpy's own, which calls it by this name
        self, transition_id: int
    ) -> TransitionCallbackReturn:
        """Refuse a transition out of order, for which rclpy of Humble and Jazzy ends the node."""
        try:
            change = super()._LifecycleNodeMixin__change_state  # type: ignore[misc]
            result: TransitionCallbackReturn = change(transition_id)
            return result
        except RuntimeError as error:  # https://github.com/ros2/rclpy/issues/1209
            self.get_logger().error(f'transition refused: {error}')
            return TransitionCallbackReturn.ERROR

    def destroy_node(self) -> None:
        """Stop the threads, then destroy the node."""
        self._stop()
        self._close_engine()
        super().destroy_node()

    def note_failure(self, error: Exception) -> None:
        """Log what a callback raised; the node goes on."""
        self._log.error('callback', f'a callback failed, and the node goes on: {error!r}')

    def _fail(self, failure: str) -> TransitionCallbackReturn:
        """Say why a transition failed, in the log and in every report until one succeeds."""
        self._failure = failure
        self.get_logger().error(failure)
        return TransitionCallbackReturn.FAILURE

    def _stop(self) -> None:
        if self._state == 'active' and self._scheduler is not None:
            for camera in self._cameras:
                camera.unsubscribe()
            self._scheduler.close()
            for camera in self._cameras:
                camera.stop()

    def _forget(self) -> None:
        """Destroy what configure made."""
        for camera in self._cameras:
            camera.destroy()
        self._cameras = []
        self._close_engine()

    def _close_engine(self) -> None:
        # an engine that hangs cannot be closed; it is left to itself
        is_free = self._scheduler is None or self._scheduler.is_stopped
        if self._engine is not None and self._engine is not self._given_engine and is_free:
            self._engine.close()
        self._engine = self._scheduler = None
        return_freed_memory()

    def _check_parameters(self, parameters: list[Parameter[Any]]) -> SetParametersResult:
        result = check_parameters(
            parameters, is_configured=self._engine is not None, is_started=self._is_started
        )
        if result.successful and self._cameras:
            settings = read_settings(self, parameters)
            for camera in self._cameras:
                camera.apply(settings)
        return result

    def _enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        response.success = self._state == 'active'
        if not response.success:
            response.message = f'the node is {self._state}: activate it first'
            return response
        for camera in self._cameras:
            camera.enable(request.data)
        response.message = f'de-raining is switched {"on" if request.data else "off"}'
        if request.data and read_settings(self).gate == 'off':
            response.message += ', but the parameter gate is off: set it to always or auto'
        return response

    def _report(self) -> None:
        """Report in every state; nothing that fails here may end the node."""
        try:
            if self._state == 'active' and self._engine is not None:
                statuses = [
                    status(self, camera.name, camera.input_topic, self._report_of(camera))
                    for camera in self._cameras
                ]
            else:
                statuses = [status(self, '', self.resolve_topic_name('image_raw'), self._idle())]
            self._diagnostics.publish(array(self, statuses))
        except Exception as error:
            if self.context.ok():
                self._log.error('report', f'no report: {error}')

    def _report_of(self, camera: Camera) -> Report:
        assert self._engine is not None
        report = camera.report(self._engine)
        values = {
            'state': self._state,
            'model': str(self.get_parameter('model').value),
            **report.values,
        }
        report = report._replace(values=values)
        if self._machine_problem:
            return report.with_problem(Level.WARN, self._machine_problem)
        return report

    def _idle(self) -> Report:
        values = {'state': self._state, 'model': str(self.get_parameter('model').value)}
        if self._failure:
            return Report(Level.ERROR, self._failure, values)
        return Report(Level.WARN, f'{self._state}: no image is published', values)
