"""The gate for 8-bit graphs."""

from dataclasses import replace
from pathlib import Path

from helpers.stills import rain_before, scene, write_video
import numpy as np
import onnx
from onnx import numpy_helper
from PIL import Image
import pytest
import torch

from derain_ros.errors import ModelError
from derain_ros.model.export import frame_graph, write_graph
from derain_ros.model.network import DerainNetwork, Shape
from training.errors import GateError
from training.scores import quantised
from training.scores.quantised import compare, Comparison, pictures

PASSES = Comparison(
    psnr_y={'light': (36.0, 35.91), 'heavy': (27.0, 27.2)},
    dry_change=(0.04, 0.05),
    stains={'white': (0, 2)},
    times={'f32 640x360': 0.99},
)


def test_what_is_as_good_and_faster_passes() -> None:
    PASSES.check('int8.onnx')

    assert PASSES.problems() == []


@pytest.mark.parametrize(
    'changes, problem',
    [
        ({'psnr_y': {'light': (36.0, 35.88)}}, 'light loses 0.12 dB; 0.1 are allowed'),
        ({'psnr_y': {'light': (36.0, float('nan'))}}, 'light loses nan dB'),
        ({'dry_change': (0.04, 0.051)}, 'dry frames change by 0.051 grey levels'),
        ({'stains': {'white': (0, 3)}}, 'white changes by 3 grey levels; 2 are allowed'),
        ({'times': {'f32 640x360': 1.0}}, 'f32 640x360 takes 1.00 times as long'),
    ],
)
def test_what_is_worse_or_no_faster_is_not_released(changes: dict, problem: str) -> None:
    with pytest.raises(GateError, match=f'int8.onnx: not to be released: {problem}'):
        replace(PASSES, **changes).check('int8.onnx')


@pytest.fixture(scope='module')
def graph() -> onnx.ModelProto:
    network = DerainNetwork(Shape(channels=4, units=1, scales=1, unshuffle=2))
    torch.nn.init.zeros_(network.image_conversion.weight)
    return frame_graph(network)


def darker(graph: onnx.ModelProto, path: Path, levels: float) -> str:
    """Write the graph so that it takes so many grey levels from every pixel."""
    for tensor in graph.graph.initializer:
        if tensor.name == 'image_conversion.bias':
            bias = np.full(12, levels / 255, np.float32)
            tensor.CopyFrom(numpy_helper.from_array(bias, tensor.name))
    write_graph(graph, path)
    return str(path)


@pytest.fixture
def pairs(tmp_path: Path, street: np.ndarray) -> Path:
    """Return pairs with ten grey levels of rain, or held out of training and without."""
    clean = np.clip(street, 20, 200)
    for number, rain in ((1, 10), (181, 3)):
        for name, image in (('rainy', clean + np.uint8(rain)), ('clean', clean)):
            path = tmp_path / 'pairs' / name / f'{number}.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
    return tmp_path / 'pairs'


def test_both_graphs_are_scored_on_what_was_held_out(
    graph: onnx.ModelProto, tmp_path: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantised, 'TIMED_SIZES', ((16, 16),))
    dry = write_video(tmp_path / 'dry.mp4', rain_before(scene(), 2))
    one = darker(graph, tmp_path / 'one.onnx', 1)
    two = darker(graph, tmp_path / 'two.onnx', 2)

    result = compare(one, two, [pairs], dry)

    # the luma of 3 - 1 and 3 - 2 grey levels
    before, after = result.psnr_y['pairs']
    assert before == pytest.approx(43.3, abs=0.3)
    assert after == pytest.approx(49.3, abs=0.6)
    assert result.dry_change == (1, 2)
    assert result.stains['white'] == (1, 2)
    assert result.stains['black'] == (0, 0)
    assert set(result.stains) == set(pictures())
    assert all('16x16' in name for name in result.times)
    assert '| white, largest change | 1 | 2 |' in result.table()


def test_a_graph_that_computes_something_else_fails_the_self_test(
    graph: onnx.ModelProto, tmp_path: Path, pairs: Path
) -> None:
    same = darker(graph, tmp_path / 'same.onnx', 0)
    far_darker = darker(graph, tmp_path / 'darker.onnx', 60)

    with pytest.raises(ModelError, match='100% of a dry frame'):
        compare(same, far_darker, [pairs], tmp_path / 'dry.mp4')
