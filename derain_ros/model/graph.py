"""The released ONNX graphs: where they are, and the channel order they run in."""

from pathlib import Path
from typing import Literal

import numpy as np
import onnx
from onnx import numpy_helper

from derain_ros.errors import ModelError

Order = Literal['bgr', 'rgb']
Precision = Literal['fp16', 'fp32']

MODELS = Path(__file__).parents[1] / 'models'
FIRST_WEIGHT = 'feature_transform.0.weight'
LAST_PARAMETERS = ('image_conversion.weight', 'image_conversion.bias')


def model_path(model: str) -> Path:
    """
    Find a model: a released name such as ``fast``, or the path of an ONNX file.

    :raises ModelError: there is no such model.
    """
    released = MODELS / f'{model}.onnx'
    path = released if released.is_file() else Path(model).expanduser()
    if not path.is_file():
        names = ', '.join(sorted(file.stem for file in MODELS.glob('*.onnx')))
        raise ModelError(f"model '{model}': neither a released name ({names}) nor an ONNX file")
    return path


def load_graph(model: str, order: Order = 'rgb') -> onnx.ModelProto:
    """
    Load a graph, uint8 [N, H, W, 3] in and out, for frames of the given channel order.

    Files hold RGB; BGR comes from permuting the first and the last weights, so that neither
    order costs anything while the graph runs.

    :raises ModelError: there is no such model, or the file was not written by ``export``.
    """
    path = model_path(model)
    try:
        graph = onnx.load(path)
    except Exception as error:  # protobuf's own exception type is not public
        raise ModelError(f'{path}: not an ONNX file ({error}); export it anew') from error
    parameters = {tensor.name: tensor for tensor in graph.graph.initializer}
    for name in (FIRST_WEIGHT, *LAST_PARAMETERS):
        if name not in parameters:
            raise ModelError(f"{path}: has no weight '{name}'; export it with derain_ros.export")
    if order == 'bgr':
        _swap_red_and_blue(parameters)
    return graph


def _swap_red_and_blue(parameters: dict[str, onnx.TensorProto]) -> None:
    for name, axis in ((FIRST_WEIGHT, 1), *((name, 0) for name in LAST_PARAMETERS)):
        values = numpy_helper.to_array(parameters[name])
        # pixel-unshuffle keeps the u² channels that come from one colour together
        per_color = np.split(values, 3, axis=axis)
        swapped = np.concatenate(per_color[::-1], axis=axis)
        parameters[name].CopyFrom(numpy_helper.from_array(swapped, name))
