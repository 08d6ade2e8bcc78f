"""An ONNX graph of ours, of one fixed size, run node by node with torch."""

from collections.abc import Callable
from typing import Any

import onnx
from onnx import numpy_helper
import torch
from torch import Tensor
from torch.nn import functional

TYPES = {1: torch.float32, 2: torch.uint8, 10: torch.float16}


class Graph:
    """
    What TensorRT parses, on a device.

    :param names: of the input and of the output.
    :param shape: of both, uint8 [N, H, W, 3].
    """

    def __init__(self, graph: bytes, device: str) -> None:
        self.device = device
        body = onnx.load_from_string(graph).graph
        self.names = body.input[0].name, body.output[0].name
        dimensions = body.input[0].type.tensor_type.shape.dim
        self.shape = tuple(dimension.dim_value for dimension in dimensions)
        self._nodes = [
            (node.op_type, node.name, list(node.input), node.output[0], _attributes(node))
            for node in body.node
        ]
        # sizes are known on the host; weights lie on the device
        self._constants: dict[str, Any] = {}
        for item in body.initializer:
            tensor = torch.from_numpy(numpy_helper.to_array(item).copy())
            sizes = tensor.dtype == torch.int64 or item.name in self._scales()
            self._constants[item.name] = tensor.tolist() if sizes else tensor.to(device)

    def layers(self) -> str:
        """Return a line per convolution, as TensorRT's inspector does."""
        kinds = {torch.float16: 'Half', torch.float32: 'Float'}
        return '\n'.join(
            f'Name: {name}, LayerType: Conv, Inputs: '
            f'[ {{ Name: {inputs[0]}, Datatype: {kinds[self._precision(inputs[1])]} }}]'
            for kind, name, inputs, _, _ in self._nodes
            if kind == 'Conv'
        )

    @torch.inference_mode()
    def run(self, frames: Tensor) -> Tensor:
        """De-rain uint8 frames [N, H, W, 3] on the graph's device."""
        values = self._constants | {self.names[0]: frames, '': None}
        for kind, _, inputs, output, attributes in self._nodes:
            values[output] = OPERATORS[kind](attributes, *(values[name] for name in inputs))
        return values[self.names[1]]

    def _scales(self) -> set[str]:
        return {inputs[2] for kind, _, inputs, _, _ in self._nodes if kind == 'Resize'}

    def _precision(self, weight: str) -> torch.dtype:
        return self._constants[weight].dtype


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}


def _convolution(attributes: dict, images: Tensor, weight: Tensor, bias: Any = None) -> Tensor:
    return functional.conv2d(images, weight, bias, padding=attributes['pads'][0])


def _pad(attributes: dict, images: Tensor, pads: list[int], *_: Any) -> Tensor:
    top, left, bottom, right = pads[2], pads[3], pads[6], pads[7]
    return functional.pad(images, (left, right, top, bottom), mode='replicate')


def _slice(attributes: dict, images: Tensor, start, stop, axes, *steps: Any) -> Tensor:
    for first, last, axis in zip(start, stop, axes):
        images = images[(slice(None),) * (axis % images.ndim) + (slice(first, last),)]
    return images


OPERATORS: dict[str, Callable[..., Any]] = {
    'Add': lambda _, one, other: one + other,
    'Sub': lambda _, one, other: one - other,
    'Mul': lambda _, one, other: one * other,
    'Div': lambda _, one, other: one / other,
    'Cast': lambda attributes, value: value.to(TYPES[attributes['to']]),
    'Clip': lambda _, value, low, high: value.clamp(low, high),
    'Concat': lambda attributes, *values: torch.cat(values, attributes['axis']),
    'Conv': _convolution,
    'DepthToSpace': lambda attributes, value: functional.pixel_shuffle(
        value, attributes['blocksize']
    ),
    'LeakyRelu': lambda attributes, value: functional.leaky_relu(value, attributes['alpha']),
    'MaxPool': lambda attributes, value: functional.max_pool2d(value, attributes['kernel_shape']),
    'Pad': _pad,
    'Reshape': lambda _, value, shape: value.reshape(shape),
    'Resize': lambda _, value, roi, scales: functional.interpolate(
        value, scale_factor=tuple(scales[2:]), mode='nearest'
    ),
    'Round': lambda _, value: value.round(),
    'Slice': _slice,
    'Transpose': lambda attributes, value: value.permute(attributes['perm']),
}
