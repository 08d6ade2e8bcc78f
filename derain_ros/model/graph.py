"""ONNX graphs: reading and writing them, and the channel order they run in."""

from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from derain_ros.errors import ModelError
from derain_ros.files import write_atomically
from derain_ros.model.released import find_model, read_model
from derain_ros.model.weights import (
    check_finite,
    remove_checksum,
    verify_checksum,
    write_checksum,
)
from derain_ros.order import Order

FIRST_WEIGHT = 'feature_transform.0.weight'
UNITS = 'deraining.units.'
LAST_PARAMETERS = ('image_conversion.weight', 'image_conversion.bias')


def load_graph(model: str, order: Order = 'rgb') -> onnx.ModelProto:
    """
    Load a graph, uint8 [N, H, W, 3] in and out, for frames of the given channel order.

    Files hold RGB; BGR comes from permuting the first and the last weights, so that neither
    order costs anything while the graph runs.

    :param model: released name, or path of an ONNX file.
    :raises ModelError: there is no such model, the file was not written by ``export``, or its
        weights are damaged or not finite.
    """
    graph = read_graph(find_model(model))
    remove_checksum(graph)  # the graph is no longer what the file holds
    if order == 'bgr':
        _swap_red_and_blue({tensor.name: tensor for tensor in graph.graph.initializer})
    return graph


def read_graph(path: Path) -> onnx.ModelProto:
    """
    Return a graph as its file holds it, checked.

    :raises ModelError: the file cannot be read, was not written by ``export``, or holds weights
        that are damaged or not finite.
    """
    content = read_model(path)
    try:
        graph = onnx.load_model_from_string(content)
    except Exception as error:  # protobuf's own exception type is not public
        raise ModelError(f'{path}: not an ONNX file ({error}); export it anew') from error
    parameters = {tensor.name for tensor in graph.graph.initializer}
    for name in (FIRST_WEIGHT, *LAST_PARAMETERS):
        if name not in parameters:
            raise ModelError(f"{path}: has no weight '{name}'; export it with derain_ros.export")
    verify_checksum(graph, str(path))
    check_finite(graph, str(path))
    return graph


def write_graph(graph: onnx.ModelProto, path: Path) -> None:
    """
    Check a graph and write it with the checksum of its weights, whole or not at all.

    :raises OSError: the file cannot be written; it is as it was before.
    """
    write_checksum(graph)
    onnx.checker.check_model(graph, full_check=True)
    write_atomically(path, graph.SerializeToString())


def _swap_red_and_blue(parameters: dict[str, onnx.TensorProto]) -> None:
    for name, axis in ((FIRST_WEIGHT, 1), *((name, 0) for name in LAST_PARAMETERS)):
        values = numpy_helper.to_array(parameters[name])
        # pixel-unshuffle keeps the u² channels that come from one colour together
        per_color = np.split(values, 3, axis=axis)
        swapped = np.concatenate(per_color[::-1], axis=axis)
        parameters[name].CopyFrom(numpy_helper.from_array(swapped, name))


def feature_values_per_pixel(graph: onnx.ModelProto) -> float:
    """
    Return how many values of feature maps a runtime holds at once per pixel of a frame.

    Dense connections keep the output of every unit, and about five maps are held beside them
    (*inferred* from OpenVINO, fast and reference-light, bf16 and f32, at 1280x720: estimated 1 to
    8 % above what was measured).
    """
    names = [tensor.name for tensor in graph.graph.initializer]
    units = len({name.partition(UNITS)[2].split('.')[0] for name in names if UNITS in name})
    first = graph.graph.initializer[names.index(FIRST_WEIGHT)]
    channels, inputs = first.dims[:2]
    # inputs: three colours, and u² pixels folded
    return float(channels * 3 / inputs * (units + 5))
