"""The parameters of the node: what they are, when they may change, and which are unknown."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
import math
from typing import Any, NamedTuple

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSPolicyKind
from rclpy.qos_overriding_options import QoSOverridingOptions

from derain_ros.engine.factory import ENGINES
from derain_ros.errors import quoted
from derain_ros.image.encode import Compression
from derain_ros.stream.gate import GATE_MODES
from derain_ros.stream.policy import UNBOUNDED

QOS = 'qos_overrides.'
COMPRESSED = 'image_derained.compressed.'

# What a car may want to change of a topic's QoS; the others are no matter of a single topic.
OVERRIDABLE = QoSOverridingOptions(
    [
        QoSPolicyKind.HISTORY,
        QoSPolicyKind.DEPTH,
        QoSPolicyKind.RELIABILITY,
        QoSPolicyKind.DURABILITY,
        QoSPolicyKind.DEADLINE,
        QoSPolicyKind.LIFESPAN,
        QoSPolicyKind.LIVELINESS,
        QoSPolicyKind.LIVELINESS_LEASE_DURATION,
    ]
)


class Declared(NamedTuple):
    """
    One parameter.

    :param read: when: at ``start``, in ``configure``, or ``always``, so that it may be changed.
    :param choices: of a text, the values that it may have.
    :param bounds: of a number, the smallest and the largest.
    """

    default: Any
    read: str
    description: str
    choices: tuple[str, ...] = ()
    bounds: tuple[float, float] | None = None


PARAMETERS = {
    'autostart': Declared(True, 'start', 'Configure and activate without a lifecycle manager.'),
    'cameras': Declared(
        Parameter.Type.STRING_ARRAY,
        'configure',
        'Cameras that share the engine: CAMERA/image_raw becomes CAMERA/image_derained. Not set: '
        'image_raw becomes image_derained.',
    ),
    'image_transport': Declared(
        'raw',
        'configure',
        'How cameras publish: raw, or compressed on <topic>/compressed.',
        choices=('raw', 'compressed'),
    ),
    'relay_camera_info': Declared(
        False,
        'configure',
        'Publish camera_info beside image_derained too, if that is in another namespace.',
    ),
    'engine': Declared('auto', 'configure', 'What runs the network.', choices=ENGINES),
    'model': Declared('fast', 'configure', 'Released model, or path of an ONNX file.'),
    'deadline': Declared(
        1.0,
        'always',
        'Seconds from reception after which an image passes through unchanged.',
        bounds=(0.001, 60.0),
    ),
    'gate': Declared(
        'always',
        'always',
        'Which images are de-rained: always all; auto those in rain; off none.',
        choices=GATE_MODES,
    ),
    'max_change': Declared(
        UNBOUNDED,
        'always',
        'Grey levels by which the network may change a sample of an image; 255 is no bound.',
        bounds=(0, 255),
    ),
    f'{COMPRESSED}format': Declared(
        'jpeg', 'always', 'Of image_derained/compressed.', choices=('jpeg', 'png')
    ),
    f'{COMPRESSED}jpeg_quality': Declared(
        95, 'always', 'Of image_derained/compressed, 1 to 100.', bounds=(1, 100)
    ),
    f'{COMPRESSED}png_level': Declared(
        3, 'always', 'Of image_derained/compressed, 1 (fast) to 9 (small).', bounds=(1, 9)
    ),
}


@dataclass(frozen=True)
class Settings:
    """The parameters that may be changed at any time; see ``PARAMETERS``."""

    deadline_s: float
    gate: str
    max_change: int
    compression: Compression


def declare_parameters(node: Node) -> None:
    """
    Declare every parameter of the node.

    :raises rclpy.exceptions.ParameterException: an override has another type or is out of range.
    """
    for name, declared in PARAMETERS.items():
        descriptor = ParameterDescriptor(description=f'{declared.description} {_when(declared)}')
        if declared.bounds is not None:
            low, high = declared.bounds
            if isinstance(declared.default, float):
                bounds = FloatingPointRange(from_value=low, to_value=high)
                descriptor.floating_point_range = [bounds]
            else:
                descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high))]
        elif declared.choices:
            descriptor.additional_constraints = f'one of {", ".join(declared.choices)}'
            # YAML reads off as False, on the command line too
            descriptor.dynamic_typing = 'off' in declared.choices
        node.declare_parameter(name, declared.default, descriptor)


def _when(declared: Declared) -> str:
    return {
        'start': 'Read at start.',
        'configure': 'Read in configure.',
        'always': 'May be changed at any time.',
    }[declared.read]


def read_settings(node: Node, changes: list[Parameter[Any]] | None = None) -> Settings:
    """
    Return the settings as they are, or will be.

    :param changes: parameters that are about to be set.
    """
    changed = {parameter.name: parameter.value for parameter in changes or []}

    def value(name: str) -> Any:
        return _text(changed.get(name, node.get_parameter(name).value))

    compression = {
        name: value(f'{COMPRESSED}{name}') for name in ('format', 'jpeg_quality', 'png_level')
    }
    return Settings(
        value('deadline'), value('gate'), value('max_change'), Compression(**compression)
    )


def check_parameters(
    parameters: list[Parameter[Any]], is_configured: bool, is_started: bool
) -> SetParametersResult:
    """
    Refuse values that cannot be, and those that nothing would read any more.

    So every value that is read back is the one in use.
    """
    for parameter in parameters:
        reason = _refusal(parameter, is_configured, is_started)
        if reason:
            return SetParametersResult(successful=False, reason=reason)
    return SetParametersResult(successful=True)


def _refusal(parameter: Parameter[Any], is_configured: bool, is_started: bool) -> str:
    name, value, declared = parameter.name, parameter.value, PARAMETERS.get(parameter.name)
    if declared is None:
        return ''
    if isinstance(value, float) and not math.isfinite(value):
        return f'{name} is {value}: give a number'
    if declared.choices and _text(value) not in declared.choices:
        return f'{name} is {quoted(str(value))}: give one of {", ".join(declared.choices)}'
    if name == 'cameras' and value and len(set(value)) < len(value):
        return f'{name} is {quoted(str(list(value)))}: name every camera once'
    if declared.read == 'configure' and is_configured:
        return (
            f'{name} is read in configure: deactivate and clean up the node, set it, then '
            'configure and activate'
        )
    if declared.read == 'start' and is_started:
        return f'{name} is read at start: restart the node with it'
    return ''


def _text(value: Any) -> Any:
    """Return 'off' for False, which YAML makes of it."""
    return 'off' if value is False else value


def overrides_without_effect(node: Node) -> list[str]:
    """
    Return a line for every given parameter that nothing reads.

    That is a QoS override of another topic or policy, and a name that is nearly one of ours.
    Others may be meant for another node of the same file.
    """
    declared = node.get_parameters_by_prefix('').keys()
    lines = []
    for name in node._parameter_overrides.keys() - declared:
        near = get_close_matches(name, PARAMETERS, n=1, cutoff=0.8)
        if name.startswith(QOS):
            topics = sorted({known.split('.')[1] for known in declared if known.startswith(QOS)})
            lines.append(
                f'{name} has no effect: name a topic of the node ({", ".join(topics)}), publisher '
                f'or subscription, and one of '
                f'{", ".join(kind.name.lower() for kind in OVERRIDABLE.policy_kinds)}'
            )
        elif near and name not in PARAMETERS:
            lines.append(f"parameter {name} has no effect; did you mean '{near[0]}'?")
    return lines
