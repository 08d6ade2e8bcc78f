"""
PyTorch weights to an ONNX graph with uint8 frames in and out.

    python3 -m derain_ros.export runs/fast/best.safetensors fast.onnx
    python3 -m derain_ros.export runs/fast/best.safetensors fast-fp16.onnx --precision fp16
"""

from pathlib import Path

import onnx
from onnxscript.optimizer import fold_constants
from safetensors import safe_open, SafetensorError
import torch
from torch import nn, Tensor

from derain_ros.errors import ModelError
from derain_ros.files import write_atomically
from derain_ros.model.half import halve
from derain_ros.model.network import DerainNetwork, Shape
from derain_ros.model.released import read_model
from derain_ros.model.weights import check_finite, Precision, write_checksum

OPSET = 18
LARGEST_WEIGHT = 2**20  # elements
PREFIX = 'network.'


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

    :raises ModelError: the file is missing, damaged or no safetensors file, names no shape, or
        holds weights that do not fit it or are not finite.
    """
    read_model(weights)  # which checks it against the manifest
    try:
        with safe_open(weights, framework='pt') as file:
            shape = Shape.from_json((file.metadata() or {}).get('shape', 'null'))
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 not a dict
    except (OSError, SafetensorError) as error:
        raise ModelError(f'{weights}: not a safetensors file ({error})') from error
    except ValueError as error:
        raise ModelError(
            f'{weights}: does not say its shape; training/train.py writes it ({error})'
        ) from error
    for name, tensor in state.items():
        if not tensor.isfinite().all():
            raise ModelError(f"{weights}: weight '{name}' is not finite; train the model anew")
    network = DerainNetwork(shape).eval()
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        reason = ' '.join(str(error).split())  # one line, without tabs
        raise ModelError(f'{weights}: does not fit its {shape} ({reason})') from error
    return network


def export(network: DerainNetwork, path: Path, precision: Precision = 'fp32') -> None:
    """
    Write the network as an ONNX graph, N, H and W free; whole or not at all.

    :param precision: of everything from the first to the last convolution.
    :raises ModelError: a weight is too large for it, or not finite.
    """
    graph = frame_graph(network)
    check_finite(graph, str(path), precision)
    if precision == 'fp16':
        halve(graph)
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
    return graph


def write_graph(graph: onnx.ModelProto, path: Path) -> None:
    """
    Check a graph and write it with the checksum of its weights, whole or not at all.

    :raises OSError: the file cannot be written; it is as it was before.
    """
    write_checksum(graph)
    onnx.checker.check_model(graph, full_check=True)
    write_atomically(path, graph.SerializeToString())


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
