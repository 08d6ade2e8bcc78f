"""The weights of a graph: whether they are finite, and whether they are those once written."""

import hashlib
from typing import Literal

import numpy as np
import onnx
from onnx import numpy_helper

from derain_ros.errors import ModelError

# of the network from the first to the last convolution
Precision = Literal['fp16', 'fp32']

# the metadata of an ONNX file under which its checksum stands
CHECKSUM = 'weights_sha256'


def check_finite(graph: onnx.ModelProto, model: str, precision: Precision = 'fp32') -> None:
    """
    Refuse weights that runtimes take without a word, and that turn every image black or grey.

    :param model: what the error calls the graph.
    :raises ModelError: a weight is not finite in the precision.
    """
    largest = np.finfo(np.float16 if precision == 'fp16' else np.float32).max
    for tensor in graph.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if not (np.abs(values) <= largest).all():  # false for NaN too
            raise ModelError(
                f"model '{model}': weight '{tensor.name}' holds "
                f'{values[~(np.abs(values) <= largest)].flat[0]}, which {precision} '
                'cannot carry; train or export the model anew'
            )


def checksum(graph: onnx.ModelProto) -> str:
    """Return the sha256 over name, type, shape and values of every weight."""
    digest = hashlib.sha256()
    for tensor in sorted(graph.graph.initializer, key=lambda tensor: tensor.name):
        values = numpy_helper.to_array(tensor)
        digest.update(f'{tensor.name} {values.dtype.str} {values.shape}\n'.encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def write_checksum(graph: onnx.ModelProto) -> None:
    """Store the checksum of the weights in the metadata of their graph."""
    remove_checksum(graph)
    graph.metadata_props.add(key=CHECKSUM, value=checksum(graph))


def remove_checksum(graph: onnx.ModelProto) -> None:
    """Remove the checksum from a graph that is to be changed."""
    kept = [entry for entry in graph.metadata_props if entry.key != CHECKSUM]
    del graph.metadata_props[:]
    graph.metadata_props.extend(kept)


def verify_checksum(graph: onnx.ModelProto, model: str) -> None:
    """
    Compare the weights with their checksum; graphs of earlier exports have none, and pass.

    :param model: what the error calls the graph.
    :raises ModelError: they differ.
    """
    for entry in graph.metadata_props:
        if entry.key == CHECKSUM and entry.value != checksum(graph):
            raise ModelError(
                f'{model}: its weights are damaged, they do not have the checksum in the file; '
                'copy or export it anew'
            )
