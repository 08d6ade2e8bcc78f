"""
The network in PyTorch to an ONNX graph with uint8 frames in and out, and back.

A graph holds every weight under its name in PyTorch, and the shape of the network in its
metadata, so that one file serves the car and the training that starts from it.
"""

from collections.abc import Iterator
from pathlib import Path

import onnx
from onnx import numpy_helper
from onnxscript.optimizer import fold_constants
from safetensors import safe_open, SafetensorError
import torch
from torch import nn, Tensor

from derain_ros.errors import ModelError
from derain_ros.model.graph import read_graph, write_graph
from derain_ros.model.half import convolutions
from derain_ros.model.network import DerainNetwork, Shape
from derain_ros.model.released import read_model
from derain_ros.model.weights import check_finite

OPSET = 18
LARGEST_WEIGHT = 2**20  # elements
PREFIX = 'network.'
# the metadata of both kinds of file under which the shape of the network stands
SHAPE = 'shape'
# between the name of a fusion's weight and the number of the feature map that a part is for
PART = '.part'


class FrameGraph(nn.Module):
    """The network between uint8 RGB frames [N, H, W, 3]; the arithmetic around it in float32."""

    def __init__(self, network: DerainNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor) -> Tensor:
        images = frames.permute(0, 3, 1, 2).float() / 255
        # clamped before the cast, which would wrap 256 to 0 and turn white black
        grey: Tensor = (self.network(images).float() * 255).clamp(0, 255).round()
        return grey.to(torch.uint8).permute(0, 2, 3, 1)


def load_network(weights: Path) -> DerainNetwork:
    """
    Load trained weights into a network of the shape named in the file.

    :param weights: safetensors file that training wrote, or ONNX file that ``export`` wrote.
    :raises ModelError: the file is missing, damaged or of another kind, names no shape, or holds
        weights that do not fit it or are not finite.
    """
    read = _read_onnx if weights.suffix == '.onnx' else _read_safetensors
    text, state = read(weights)
    try:
        shape = Shape.from_json(text)
    except ValueError as error:
        raise ModelError(
            f'{weights}: does not say its shape; take what training/train.py, or '
            f'derain_ros.export, wrote lately ({error})'
        ) from error
    for name, tensor in state.items():
        if not tensor.isfinite().all():
            raise ModelError(f"{weights}: weight '{name}' is not finite; train the model anew")
    network = DerainNetwork(shape).eval()
    if weights.suffix == '.onnx':  # which holds constants of the graph too
        state = {name: state[name] for name in network.state_dict() if name in state}
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        reason = ' '.join(str(error).split())  # one line, without tabs
        raise ModelError(f'{weights}: does not fit its {shape} ({reason})') from error
    return network


def _read_safetensors(path: Path) -> tuple[str, dict[str, Tensor]]:
    """Return the shape, as JSON, and the weights."""
    read_model(path)  # which checks it against the manifest
    try:
        with safe_open(path, framework='pt') as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 not a dict
            return (file.metadata() or {}).get(SHAPE, 'null'), state
    except (OSError, SafetensorError) as error:
        raise ModelError(f'{path}: not a safetensors file ({error})') from error


def _read_onnx(path: Path) -> tuple[str, dict[str, Tensor]]:
    """Return the shape, as JSON, and the constants of the graph; of them fusions joined again."""
    graph = read_graph(path)
    metadata = {entry.key: entry.value for entry in graph.metadata_props}
    state: dict[str, Tensor] = {}
    for tensor in graph.graph.initializer:
        values = torch.from_numpy(numpy_helper.to_array(tensor).copy())
        name, _, part = tensor.name.partition(PART)
        state[name] = torch.cat([state[name], values], dim=1) if part not in ('', '0') else values
    return metadata.get(SHAPE, 'null'), state


def export(network: DerainNetwork, path: Path) -> None:
    """
    Write the network as a float32 ONNX graph, N, H and W free; whole or not at all.

    :raises ModelError: a weight is not finite.
    :raises OSError: the file cannot be written.
    """
    graph = frame_graph(network)
    check_finite(graph, str(path))
    write_graph(graph, path)


def frame_graph(network: DerainNetwork) -> onnx.ModelProto:
    """Return the float32 ONNX graph of a network, N, H and W free."""
    # sizes that no stage divides, so that none is taken for a constant
    example = torch.zeros(2, 45, 77, 3, dtype=torch.uint8)
    free = torch.export.Dim.DYNAMIC
    program = torch.onnx.export(
        FrameGraph(network).eval(),
        (example,),
        dynamo=True,
        opset_version=OPSET,
        verbose=False,
        input_names=['frames'],
        output_names=['derained'],
        dynamic_shapes=({0: free, 1: free, 2: free},),
    )
    assert program is not None  # it is with dynamo=False alone
    # the exporter leaves weights that are taken apart to the runtime; TensorRT wants constants
    fold_constants(
        program.model, input_size_limit=LARGEST_WEIGHT, output_size_limit=LARGEST_WEIGHT
    )
    graph = program.model_proto
    _tidy(graph)
    _name_parts(graph, set(network.state_dict()))
    graph.metadata_props.add(key=SHAPE, value=network.shape.to_json())
    return graph


def _tidy(model: onnx.ModelProto) -> None:
    """Take out what the exporter notes of the machine it ran on, and shorten the names."""
    graph = model.graph
    for part in (
        model,
        graph,
        *graph.node,
        *graph.initializer,
        *graph.value_info,
        *graph.input,
        *graph.output,
    ):
        del part.metadata_props[:]
        part.doc_string = ''
    for tensor in graph.initializer:
        tensor.name = tensor.name.removeprefix(PREFIX)
    for node in graph.node:
        node.input[:] = [name.removeprefix(PREFIX) for name in node.input]
    for value, names in ((graph.input[0], 'NHW'), (graph.output[0], 'NHW')):
        for dimension, name in zip(value.type.tensor_type.shape.dim, names):
            dimension.dim_param = name
    del graph.value_info[:]


def _name_parts(model: onnx.ModelProto, parameters: set[str]) -> None:
    """
    Name the weights of fusions, which are computed map by map, after the weight they are part of.

    :param parameters: names of the network's own; each must then be found in the graph.
    """
    renamed = dict(_parts(model, parameters))
    for tensor in model.graph.initializer:
        tensor.name = renamed.get(tensor.name, tensor.name)
    for node in model.graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
    missing = parameters - {tensor.name.partition(PART)[0] for tensor in model.graph.initializer}
    assert not missing, f'not in the graph: {missing}'


def _parts(model: onnx.ModelProto, parameters: set[str]) -> Iterator[tuple[str, str]]:
    """Return the name of each part of a weight, and its new name."""
    whole, part = '', 0
    for node in convolutions(model):
        weight, *bias = node.input[1:]
        if weight in parameters:
            continue
        if bias:  # which the first part has, and those after it have not
            whole, part = bias[0].removesuffix('bias') + 'weight', 0
        yield weight, f'{whole}{PART}{part}'
        part += 1
