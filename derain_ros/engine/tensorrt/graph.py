"""The graph that TensorRT builds from: sizes fixed, body in the precision it is to run in."""

from typing import NamedTuple

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from derain_ros.engine.checks import SMALLEST_PX
from derain_ros.errors import ModelError
from derain_ros.model.graph import load_graph
from derain_ros.model.half import convolutions, halve, is_half
from derain_ros.model.weights import check_finite, Precision
from derain_ros.order import Order

CONVOLUTION = 'convolution_'


class Size(NamedTuple):
    """The one batch and frame size that an engine runs, in frames and pixels."""

    batch: int
    height: int
    width: int


def tensorrt_graph(model: str, size: Size, order: Order, precision: Precision) -> onnx.ModelProto:
    """
    Return the graph for TensorRT, made of a released one.

    Frames are uint8 [batch, height, width, 3] in and out. Everything from the first to the last
    convolution runs in the precision; what precedes and follows, the subtraction, the clamp and
    the rounding among it, stays in float32. Convolutions are named ``convolution_0`` onwards.

    :raises ModelError: there is no such model, its weights are not finite in the precision or
        float16 already where fp32 is asked for, or it does not take frames of the size.
    """
    if size.batch < 1 or min(size.height, size.width) < SMALLEST_PX:
        raise ModelError(
            f'a batch of {size.batch} frames of {size.width}x{size.height} cannot be '
            f'de-rained; at least one, and {SMALLEST_PX}x{SMALLEST_PX} pixels'
        )
    graph = load_graph(model, order)
    if precision == 'fp32' and is_half(graph):
        raise ModelError(
            f"model '{model}': is float16, which cannot become fp32 again; take the "
            'float32 graph of the same weights'
        )
    check_finite(graph, model, precision)
    if precision == 'fp16':
        halve(graph)
    _cast_at_the_ends(graph)
    _fix_sizes(graph, size)
    for index, node in enumerate(convolutions(graph)):
        node.name = f'{CONVOLUTION}{index}'
    return graph


def _cast_at_the_ends(graph: onnx.ModelProto) -> None:
    """Move the casts outwards: in TensorRT, uint8 frames can feed a cast and nothing else."""
    body = graph.graph
    by_input = {name: node for node in body.node for name in node.input}
    by_output = {name: node for node in body.node for name in node.output}
    for node in body.node:
        if node.op_type == 'Transpose' and node.input[0] == body.input[0].name:
            _exchange(node, by_input[node.output[0]])
        elif node.op_type == 'Transpose' and node.output[0] == body.output[0].name:
            _exchange(node, by_output[node.input[0]])


def _exchange(one: onnx.NodeProto, other: onnx.NodeProto) -> None:
    """Let each of two nodes do what the other did, in its own place."""
    former = onnx.NodeProto()
    former.CopyFrom(one)
    for node, model in ((one, other), (other, former)):
        inputs, outputs = list(node.input), list(node.output)
        node.CopyFrom(model)
        node.input[:], node.output[:] = inputs, outputs


def _fix_sizes(graph: onnx.ModelProto, size: Size) -> None:
    """Fix N, H and W, and replace the integer arithmetic on them by its results."""
    body = graph.graph
    for value in (body.input[0], body.output[0]):
        for dimension, length in zip(value.type.tensor_type.shape.dim, size):
            dimension.dim_value = length
    nodes = list(body.node)
    prefix = nodes[: nodes.index(convolutions(graph)[0])]
    names = [name for node in prefix for name in node.output]
    evaluator = ReferenceEvaluator(
        helper.make_model(
            helper.make_graph(
                prefix,
                'sizes',
                body.input,
                [helper.make_empty_tensor_value_info(name) for name in names],
                body.initializer,
            ),
            opset_imports=graph.opset_import,
        )
    )
    results = evaluator.run(names, {body.input[0].name: np.zeros((*size, 3), np.uint8)})
    sizes = {name: result for name, result in zip(names, results) if result.dtype == np.int64}
    kept = [node for node in nodes if node.output[0] not in sizes]
    used = {name for node in kept for name in node.input}
    constants = [
        *body.initializer,
        *(numpy_helper.from_array(value, name) for name, value in sizes.items()),
    ]
    del body.node[:], body.initializer[:]
    body.node.extend(kept)
    body.initializer.extend(constant for constant in constants if constant.name in used)
