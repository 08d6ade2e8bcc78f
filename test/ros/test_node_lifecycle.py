"""The states, the parameters and the QoS of the node, through its services."""

import signal
import subprocess
import sys
import weakref

from diagnostic_msgs.msg import DiagnosticStatus
from helpers.data import ROOT
from helpers.stack import Copy, image, PATIENCE
from lifecycle_msgs.msg import State, Transition
import pytest
from rcl_interfaces.srv import DescribeParameters, GetParameters, SetParameters
from rclpy.parameter import Parameter, parameter_value_to_python
import yaml

import derain_ros
from derain_ros.node.node import DerainNode
from derain_ros.node.parameters import PARAMETERS


def test_a_transition_out_of_order_is_refused_and_the_node_lives_on(stack, start):
    start()
    stack.connect()
    assert not stack.transition(Transition.TRANSITION_CONFIGURE), 'it is active'
    assert stack.state() == State.PRIMARY_STATE_ACTIVE
    stack.send(image())


@pytest.mark.parametrize(
    'transitions', [('trigger_deactivate', 'trigger_cleanup'), ('trigger_shutdown',)]
)
def test_a_node_that_is_not_needed_lets_go_of_the_engine(ros, monkeypatch, transitions):
    held = weakref.WeakSet()

    def create(*_: object) -> Copy:
        engine = Copy()
        held.add(engine)
        return engine

    monkeypatch.setattr('derain_ros.node.node.create_engine', create)
    node = DerainNode()
    node.start()
    assert len(held) == 1
    for transition in transitions:
        getattr(node, transition)()
    assert len(held) == 0
    node.destroy_node()


def test_a_lifecycle_manager_is_in_charge_where_autostart_is_off(stack, start):
    start('-p', 'autostart:=false')
    assert stack.state() == State.PRIMARY_STATE_UNCONFIGURED
    assert stack.transition(Transition.TRANSITION_CONFIGURE)
    assert stack.camera.get_subscription_count() == 0, 'not subscribed before activation'
    for _ in range(2):
        assert stack.transition(Transition.TRANSITION_ACTIVATE)
        stack.connect()
        stack.send(image())
        assert stack.transition(Transition.TRANSITION_DEACTIVATE)
        stack.until(lambda: stack.camera.get_subscription_count() == 0)
    assert stack.transition(Transition.TRANSITION_CLEANUP)
    assert stack.transition(Transition.TRANSITION_UNCONFIGURED_SHUTDOWN)
    assert stack.state() == State.PRIMARY_STATE_FINALIZED


def test_a_wrong_model_is_named_and_can_be_corrected(stack, start):
    process = start('-p', 'model:=fats')
    assert stack.state() == State.PRIMARY_STATE_UNCONFIGURED
    reason = "not configured: model 'fats': neither a released name"
    assert reason in process.log.read_text()
    stack.until(lambda: stack.statuses)
    assert stack.statuses[-1].level == DiagnosticStatus.ERROR
    assert stack.statuses[-1].message.startswith(reason)
    parameter = Parameter('model', value='fast').to_parameter_msg()
    stack.call(SetParameters, 'set_parameters', SetParameters.Request(parameters=[parameter]))
    assert stack.transition(Transition.TRANSITION_CONFIGURE)
    assert stack.transition(Transition.TRANSITION_ACTIVATE)
    stack.connect()
    stack.send(image())


def test_every_parameter_describes_itself(stack, start):
    start('--params-file', str(ROOT / 'config' / 'derain.yaml'))
    names = list(PARAMETERS)
    described = stack.call(
        DescribeParameters, 'describe_parameters', DescribeParameters.Request(names=names)
    )
    assert all(len(descriptor.description) > 20 for descriptor in described.descriptors)
    (allowed,) = described.descriptors[names.index('deadline')].floating_point_range
    assert (allowed.from_value, allowed.to_value) == (0.001, 60.0)


def test_the_parameter_file_documents_the_defaults(stack, start):
    start(patience=())
    written = yaml.safe_load((ROOT / 'config' / 'derain.yaml').read_text())
    written = written['/**']['ros__parameters']
    group = 'image_derained.compressed'
    written |= {f'{group}.{name}': value for name, value in written.pop(group).items()}
    values = stack.call(
        GetParameters, 'get_parameters', GetParameters.Request(names=list(written))
    ).values
    assert {
        name: parameter_value_to_python(value) for name, value in zip(written, values)
    } == written


def test_the_qos_of_a_topic_can_be_overridden(stack, start):
    topic = f'{stack.get_namespace()}/image_derained'
    start('-p', f'qos_overrides.{topic}.publisher.reliability:=best_effort')
    stack.until(lambda: stack.get_publishers_info_by_topic(topic))
    (publisher,) = stack.get_publishers_info_by_topic(topic)
    assert publisher.qos_profile.reliability.name == 'BEST_EFFORT'


@pytest.mark.parametrize(
    'side, topic, reason',
    [
        ('publisher', 'image_derained', 'not configured: '),
        ('subscription', 'image_raw', 'not activated: '),
    ],
)
def test_a_qos_that_cannot_be_is_named(stack, start, side, topic, reason):
    topic = f'{stack.get_namespace()}/{topic}'
    process = start('-p', f'qos_overrides.{topic}.{side}.reliability:=besteffort')
    stack.until(lambda: reason in process.log.read_text())
    assert 'besteffort' in process.log.read_text()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=PATIENCE) == 0
    assert 'Traceback' not in process.log.read_text()


@pytest.mark.parametrize('deadline', ['1', '100.0', 'soon'])
def test_a_parameter_that_cannot_be_is_named(start, deadline):
    process = start('-p', f'deadline:={deadline}', patience=())
    assert process.wait(timeout=PATIENCE) == 2
    assert process.log.read_text().startswith('error: ')
    assert 'deadline' in process.log.read_text()
    assert 'Traceback' not in process.log.read_text()


def set_parameter(stack, name: str, value: object):
    parameter = Parameter(name, value=value).to_parameter_msg()
    answer = stack.call(
        SetParameters, 'set_parameters', SetParameters.Request(parameters=[parameter])
    )
    return answer.results[0]


def test_a_parameter_that_would_have_no_effect_is_refused(stack, start):
    start()
    stack.connect()
    for name, value in (('model', 'fast-light'), ('engine', 'openvino'), ('cameras', ['front'])):
        result = set_parameter(stack, name, value)
        assert not result.successful
        assert 'clean up the node' in result.reason
    result = set_parameter(stack, 'autostart', False)
    assert not result.successful
    assert 'restart the node' in result.reason
    (model,) = stack.call(
        GetParameters, 'get_parameters', GetParameters.Request(names=['model'])
    ).values
    assert parameter_value_to_python(model) == 'fast', 'what is read back is what runs'


def test_the_deadline_can_be_changed_at_run_time(stack, start):
    start()
    stack.connect()
    stack.send(image())
    assert set_parameter(stack, 'deadline', 0.001).successful
    sent = image(720, 1280)
    assert stack.send(sent) == sent, 'it passed through'
    for wrong in (0.0, 100.0, float('nan')):
        assert not set_parameter(stack, 'deadline', wrong).successful


USAGE = {
    '--help': (0, 'usage: derain_node'),
    '--version': (0, f'derain_ros {derain_ros.__version__}'),
    '--verbose': (2, 'unrecognized arguments: --verbose'),
    '--ros-args --log-level bogus': (2, 'error: '),
    '--ros-args -r image_raw:=/': (2, 'error: '),
    '--ros-args --params-file nowhere.yaml': (2, 'nowhere.yaml'),
    '--ros-args -p deadline:=.nan': (2, 'error: '),
}


@pytest.mark.parametrize('arguments', USAGE)
def test_the_program_answers_and_refuses_without_a_traceback(arguments):
    status, text = USAGE[arguments]
    said = subprocess.run(
        [sys.executable, '-m', 'derain_ros.node', *arguments.split()],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert said.returncode == status
    assert text in said.stdout + said.stderr
    assert 'Traceback' not in said.stderr
    assert len(said.stderr.splitlines()) < 5
