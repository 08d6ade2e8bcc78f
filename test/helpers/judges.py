"""Tiny graphs with the inputs and outputs of a detector or a segmenter."""

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, TensorProto

FLOAT = TensorProto.FLOAT


def write_model(
    path: Path, nodes: list, size: tuple[int, int], outputs: list, **arrays: np.ndarray
) -> None:
    """Write a graph of one image of (width, height) as an ONNX file."""
    graph = helper.make_graph(
        nodes,
        'judge',
        [helper.make_tensor_value_info('image', FLOAT, [1, 3, size[1], size[0]])],
        [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs],
        [onnx.numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)]), path)
