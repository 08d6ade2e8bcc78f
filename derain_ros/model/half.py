"""The float16 form of a graph: half the bytes, and what the tensor cores of a GPU run."""

import numpy as np
import onnx
from onnx import helper, numpy_helper, TensorProto

from derain_ros.model.graph import FIRST_WEIGHT


def convolutions(graph: onnx.ModelProto) -> list[onnx.NodeProto]:
    """Return the convolutions, from the first to the last."""
    return [node for node in graph.graph.node if node.op_type == 'Conv']


def is_half(graph: onnx.ModelProto) -> bool:
    """Return whether the body of a graph is float16 already."""
    return any(
        tensor.name == FIRST_WEIGHT and tensor.data_type == TensorProto.FLOAT16
        for tensor in graph.graph.initializer
    )


def halve(graph: onnx.ModelProto) -> None:
    """
    Make everything from the first to the last convolution float16, if it is not.

    What precedes and follows, the subtraction, the clamp and the rounding among it, stays in
    float32: in float16 the sum of 255 and a little rain is a grey level off.
    """
    if is_half(graph):
        return
    body = convolutions(graph)
    weights = {name for node in body for name in node.input[1:]}
    for tensor in graph.graph.initializer:
        if tensor.name in weights:
            half = numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(half, tensor.name))
    first, last = body[0], body[-1]
    enter = helper.make_node(
        'Cast', [first.input[0]], ['half_body_input'], 'enter_half', to=TensorProto.FLOAT16
    )
    leave = helper.make_node(
        'Cast', ['half_body_output'], [last.output[0]], 'leave_half', to=TensorProto.FLOAT
    )
    first.input[0], last.output[0] = enter.output[0], leave.input[0]
    nodes = list(graph.graph.node)
    graph.graph.node.insert(nodes.index(last) + 1, leave)
    graph.graph.node.insert(nodes.index(first), enter)
