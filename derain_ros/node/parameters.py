"""The parameters of the node: what they are, when they may change, and which are unknown."""

from __future__ import annotations

from difflib import get_close_matches
import math
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSPolicyKind
from rclpy.qos_overriding_options import QoSOverridingOptions

QOS = 'qos_overrides.'

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

# parameters that the engine is made from, and when they may be set
OF_CONFIGURE = ('cameras', 'engine', 'model')


def declare_parameters(node: Node) -> None:
    """
    Declare every parameter of the node.

    :raises rclpy.exceptions.ParameterException: an override has another type or is out of range.
    """
    node.declare_parameter(
        'autostart',
        True,
        ParameterDescriptor(
            description='Configure and activate at start, without a lifecycle manager. Read at '
            'start.'
        ),
    )
    node.declare_parameter(
        'cameras',
        Parameter.Type.STRING_ARRAY,
        ParameterDescriptor(
            description='Cameras that share the engine: CAMERA/image_raw is de-rained into '
            'CAMERA/image_derained. Not set: image_raw into image_derained. Read in configure.'
        ),
    )
    node.declare_parameter(
        'engine',
        'auto',
        ParameterDescriptor(
            description='What runs the network: auto, tensorrt or openvino. Read in configure.'
        ),
    )
    node.declare_parameter(
        'model',
        'fast',
        ParameterDescriptor(
            description='Released model, or path of an ONNX file. Read in configure.'
        ),
    )
    node.declare_parameter(
        'deadline',
        1.0,
        ParameterDescriptor(
            description='Seconds from reception after which an image passes through unchanged. '
            'May be changed at any time.',
            floating_point_range=[FloatingPointRange(from_value=0.001, to_value=60.0)],
        ),
    )


def check_parameters(
    parameters: list[Parameter[Any]], is_configured: bool, is_started: bool
) -> SetParametersResult:
    """
    Refuse values that cannot be, and those that nothing would read any more.

    So every value that is read back is the one in use.
    """
    for parameter in parameters:
        if parameter.name == 'deadline' and not math.isfinite(parameter.value):
            return SetParametersResult(
                successful=False, reason=f'deadline is {parameter.value}: give seconds'
            )
        if is_configured and parameter.name in OF_CONFIGURE:
            return SetParametersResult(
                successful=False,
                reason=f'{parameter.name} is read in configure: deactivate and clean up the node, '
                'set it, then configure and activate',
            )
        if is_started and parameter.name == 'autostart':
            return SetParametersResult(
                successful=False, reason='autostart is read at start: restart the node with it'
            )
    return SetParametersResult(successful=True)


def overrides_without_effect(node: Node) -> list[str]:
    """
    Return a line for every given parameter that nothing reads.

    That is a QoS override of another topic or policy, and a name that is nearly one of ours.
    Others may be meant for another node of the same file.
    """
    declared = node.get_parameters_by_prefix('').keys()
    ours = [name for name in declared if not name.startswith(QOS)]
    lines = []
    for name in node._parameter_overrides.keys() - declared:
        near = get_close_matches(name, ours, n=1, cutoff=0.8)
        if name.startswith(QOS):
            topics = sorted({known.split('.')[1] for known in declared if known.startswith(QOS)})
            lines.append(
                f'{name} has no effect: name a topic of the node ({", ".join(topics)}), publisher '
                f'or subscription, and one of '
                f'{", ".join(kind.name.lower() for kind in OVERRIDABLE.policy_kinds)}'
            )
        elif near:
            lines.append(f"parameter {name} has no effect; did you mean '{near[0]}'?")
    return lines
