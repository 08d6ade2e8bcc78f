"""De-rain scenes on the CPU, as the node does it, and score the outputs."""

from collections.abc import Callable, Iterable, Iterator
import math

import numpy as np

from derain_ros import Derainer
from training.data.scenes import Scene
from training.scores.metrics import mean_scores, rain_energy_removed, scores

# takes and returns uint8 RGB [H, W, 3]
Derain = Callable[[np.ndarray], np.ndarray]


def open_derainer(weights: str) -> Derainer:
    """
    Load a model for RGB images: a released name, an ONNX file, or safetensors.

    Always on the CPU: ``auto`` would change engines midway where there is a GPU.

    :raises ModelError: there is no such model.
    :raises EngineError: OpenVINO is not there.
    """
    return Derainer(weights, engine='openvino', order='rgb')


def evaluate(derain: Derain, scenes: Iterable[Scene]) -> Iterator[tuple[Scene, np.ndarray, dict]]:
    """
    De-rain each scene; with the output comes its row of the result.

    :param derain: a ``Derainer`` of RGB images, or another function of uint8 [H, W, 3].
    """
    for scene in scenes:
        output = derain(scene.rainy)
        row: dict = {'name': scene.name}
        if scene.truth is None:
            row['rain_energy_removed'] = rain_energy_removed(scene.rainy, output)
        else:
            row |= scores(output, scene.truth)
            row['input'] = scores(scene.rainy, scene.truth)
        yield scene, output, row


def summarize(rows: list[dict]) -> dict:
    """Return the result as --json writes it: ``mean``, ``input``, ``images``; null is infinite."""
    of_outputs = [
        {key: value for key, value in row.items() if key not in ('name', 'input')} for row in rows
    ]
    result: dict = {'mean': mean_scores(of_outputs)}
    if 'input' in rows[0]:
        result['input'] = mean_scores([row['input'] for row in rows])
    return result | {'images': [none_for_infinite(row) for row in rows]}


def none_for_infinite(row: dict) -> dict:
    """Return the values of a result as JSON can hold them: None is infinite."""
    values = {}
    for key, value in row.items():
        if isinstance(value, dict):
            value = none_for_infinite(value)
        elif isinstance(value, float) and math.isinf(value):
            value = None
        values[key] = value
    return values
