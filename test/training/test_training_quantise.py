"""An 8-bit graph made of a float one, in the engine of the CPU; and what its ranges come from."""

from pathlib import Path
import subprocess
import sys

from helpers.data import ROOT
import numpy as np
import onnx
from PIL import Image
import pytest

pytest.importorskip('nncf')

from derain_ros.engine.openvino import OpenVinoEngine
from derain_ros.errors import DataError, ModelError
from derain_ros.model.export import frame_graph, write_graph
from derain_ros.model.graph import feature_values_per_pixel, load_graph
from derain_ros.model.half import halve
from derain_ros.model.network import DerainNetwork, Shape
from derain_ros.order import Order
from training.quantise import calibration_crops, kept_by_default, main, quantise
from training.scores.quantised import Comparison

SCRIPT = ROOT / 'training' / 'quantise.py'


@pytest.fixture(scope='module')
def graph() -> onnx.ModelProto:
    import torch

    torch.manual_seed(0)
    return frame_graph(DerainNetwork(Shape(channels=8, units=2, scales=2, unshuffle=2)))


@pytest.fixture
def crops(street: np.ndarray) -> list[np.ndarray]:
    return [street, street[::-1], street[:64, :64]]


def eight_bit(graph: onnx.ModelProto) -> list[str]:
    """Return the names of the weights that are 8-bit; NNCF adds to them."""
    from_integers = {
        node.output[0]: node.input[0]
        for node in graph.graph.node
        if node.op_type == 'DequantizeLinear'
    }
    types = {tensor.name: tensor.data_type for tensor in graph.graph.initializer}
    inputs = [node.input[:2] for node in graph.graph.node if node.op_type == 'Conv']
    for features, weight in inputs:
        assert (features in from_integers) == (weight in from_integers)
    found = [from_integers[weight] for _, weight in inputs if weight in from_integers]
    assert {types[name] for name in found} <= {onnx.TensorProto.INT8}
    return found


def test_inner_convolutions_are_8_bit_and_the_ends_and_what_is_kept_are_not(
    graph: onnx.ModelProto, crops: list[np.ndarray]
) -> None:
    weights = {
        node.input[1]
        for node in graph.graph.node
        if node.op_type == 'Conv' and 'block' in node.input[1]
    }

    everything = quantise(graph, crops, [])
    sparing = quantise(graph, crops, kept_by_default(graph))

    def expected(*kept: str) -> int:
        return len([name for name in weights if not any(part in name for part in kept)])

    # the matching network and, in each unit, two blocks, of four convolutions each
    assert len(eight_bit(everything)) == expected() == 20
    assert len(eight_bit(sparing)) == expected('units.1.blocks.0.', '.blocks.1.') == 8
    additions = [node for node in everything.graph.node if node.op_type == 'Add']
    dequantised = {
        node.output[0] for node in everything.graph.node if node.op_type == 'DequantizeLinear'
    }
    assert not any(dequantised & set(node.input) for node in additions)


@pytest.mark.parametrize('order', ['rgb', 'bgr'])
def test_the_engine_of_the_cpu_runs_it_in_either_order(
    order: Order, graph: onnx.ModelProto, crops: list[np.ndarray], tmp_path: Path
) -> None:
    write_graph(graph, tmp_path / 'float.onnx')
    write_graph(quantise(graph, crops, []), tmp_path / 'int8.onnx')
    street = np.ascontiguousarray(crops[0][None])
    expected, output = np.empty_like(street), np.empty_like(street)

    OpenVinoEngine(str(tmp_path / 'float.onnx'), 'f32').infer(street, expected, order)
    OpenVinoEngine(str(tmp_path / 'int8.onnx'), 'f32').infer(street, output, order)

    assert 0 < np.abs(output.astype(int) - expected).mean() < 1
    assert np.abs(expected.astype(int) - street).mean() > 4  # so that this says something


def test_it_holds_as_many_feature_maps(
    graph: onnx.ModelProto, crops: list[np.ndarray], tmp_path: Path
) -> None:
    write_graph(quantise(graph, crops, []), tmp_path / 'int8.onnx')

    values = feature_values_per_pixel(load_graph(str(tmp_path / 'int8.onnx')))

    assert values == feature_values_per_pixel(graph)


def write_grey(folder: Path, levels: dict[str, int]) -> None:
    for name, level in levels.items():
        path = folder / f'{name}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((200, 64, 3), level, np.uint8)).save(path)


def test_ranges_come_from_training_pairs_and_clean_images(tmp_path: Path) -> None:
    write_grey(tmp_path, {'pairs/rainy/1': 90, 'pairs/clean/1': 80, 'clean/1': 30})
    write_grey(tmp_path, {'pairs/rainy/181': 250, 'pairs/clean/181': 240})  # held out

    crops = calibration_crops([tmp_path / 'pairs'], [tmp_path / 'clean'])

    assert {crop.shape for crop in crops} == {(192, 64, 3)}
    assert sorted(int(crop[0, 0, 0]) for crop in crops) == [30, 80, 90]


def test_pairs_that_are_all_held_out_are_refused(tmp_path: Path) -> None:
    write_grey(tmp_path, {'pairs/rainy/190': 90, 'pairs/clean/190': 80})

    with pytest.raises(DataError, match='pairs: holds validation pairs alone'):
        calibration_crops([tmp_path / 'pairs'], [])


def test_a_float16_graph_is_refused(graph: onnx.ModelProto, crops: list[np.ndarray]) -> None:
    half = onnx.ModelProto()
    half.CopyFrom(graph)
    halve(half)

    with pytest.raises(ModelError, match='is float16; give the float32 graph'):
        quantise(half, crops, [])


@pytest.mark.parametrize('time, status', [(0.5, 0), (1.5, 2)])
def test_only_what_passes_the_gate_is_released(
    time: float,
    status: int,
    graph: onnx.ModelProto,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    write_grey(tmp_path, {'pairs/rainy/1': 90, 'pairs/clean/1': 80, 'clean/1': 30})
    write_graph(graph, tmp_path / 'small.onnx')
    result = Comparison({}, (0, 0), {}, {'f32': time})
    monkeypatch.setattr('training.quantise.compare', lambda *_: result)
    argv = ['quantise', 'small.onnx', '--pairs', 'pairs', '--clean', 'clean']
    monkeypatch.setattr(sys, 'argv', [*argv, '--dry', 'dry.mp4', '--folder', 'models'])
    monkeypatch.chdir(tmp_path)

    assert main() == status

    released = sorted(path.name for path in (tmp_path / 'models').iterdir())
    assert released == ([] if status else ['SHA256SUMS', 'small-int8.onnx'])
    assert ('not to be released: f32 takes 1.50' in capsys.readouterr().err) == bool(status)


def test_the_script_runs_from_anywhere_and_names_a_model_that_is_not_there(tmp_path: Path) -> None:
    options = ['--pairs', 'p', '--clean', 'c', '--dry', 'd', '--folder']
    done = subprocess.run(
        [sys.executable, SCRIPT, 'none', *options, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd='/',
    )

    assert done.returncode == 2
    assert "error: model 'none': neither a released name" in done.stderr
