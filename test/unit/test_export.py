"""The exported graph and the CPU engine, against the network in PyTorch."""

from pathlib import Path

import cv2
from helpers.data import data_folder
from helpers.disk import small_disk
from helpers.frames import difference, reference, run, SOLID
import numpy as np
import onnx
from onnx import numpy_helper
import pytest
from safetensors.torch import save_file
import torch

from derain_ros.engine.factory import create_engine
from derain_ros.engine.openvino import OpenVinoEngine
from derain_ros.errors import ModelError
from derain_ros.export import main
from derain_ros.model.export import export, frame_graph, load_network, write_graph
from derain_ros.model.graph import load_graph
from derain_ros.model.network import DerainNetwork, Shape
from derain_ros.model.released import MODELS, released_names
from training.data.pairs import read_pairs

PRECISIONS = ['f32', 'bf16']


@pytest.fixture(scope='module')
def network() -> DerainNetwork:
    return load_network(MODELS / 'fast.onnx')


@pytest.fixture(scope='module', params=['fp32', 'fp16'])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a released model, and its float16 form for other tools."""
    if request.param == 'fp32':
        return 'fast'
    path = tmp_path_factory.mktemp('half') / 'fast-fp16.onnx'
    assert main(['fast', str(path), '--precision', 'fp16']) == 0
    return str(path)


@pytest.mark.parametrize('precision', PRECISIONS)
@pytest.mark.parametrize('content', SOLID)
def test_extremes_stay_within_two_grey_levels_of_pytorch(network, model, precision, content):
    frames = SOLID[content][None]
    output = run(OpenVinoEngine(model, precision), frames)
    assert difference(output, reference(network, frames)) <= 2


@pytest.mark.parametrize('precision', PRECISIONS)
@pytest.mark.parametrize('size', [(16, 16), (17, 31), (45, 77), (93, 141)])
def test_any_size_agrees_with_pytorch(network, model, precision, size, street):
    frames = street[None, : size[0], : size[1]]
    output = run(OpenVinoEngine(model, precision), frames)
    assert difference(output, reference(network, frames)) <= 2


def test_bgr_frames_give_what_rgb_frames_give(street):
    engine = OpenVinoEngine('fast', 'f32')
    rgb_output = run(engine, street[None])
    bgr_output = run(engine, np.ascontiguousarray(street[None, ..., ::-1]), 'bgr')
    assert difference(rgb_output, bgr_output[..., ::-1]) <= 1


def test_frames_of_a_batch_do_not_touch_each_other(street):
    engine = OpenVinoEngine('fast', 'f32')
    frames = np.stack([street, street[::-1], 255 - street])
    alone = np.concatenate([run(engine, frame[None]) for frame in frames])
    assert difference(run(engine, frames), alone) <= 1


def test_frames_with_padded_rows_are_read_as_those_without(street):
    wide = np.zeros((93, 160, 3), np.uint8)
    wide[:, :141] = street
    engine = OpenVinoEngine('fast', 'f32')
    assert np.array_equal(run(engine, wide[None, :, :141]), run(engine, street[None]))


@pytest.mark.parametrize('name', ['rain_light', 'rain_heavy', 'rain_mixed'])
def test_the_validation_split_scores_as_in_float32_pytorch(network, name):
    engine = create_engine('auto', 'fast')
    folder = data_folder(name)
    scores = {'engine': [], 'pytorch': []}
    validation = [pair for pair in read_pairs(folder) if 181 <= pair.number <= 200]
    assert len(validation) >= 15
    for pair in validation:
        rainy, clean = pair.rainy[None], pair.clean[None]
        scores['engine'].append(cv2.PSNR(run(engine, rainy), clean))
        scores['pytorch'].append(cv2.PSNR(reference(network, rainy), clean))
    assert abs(np.mean(scores['engine']) - np.mean(scores['pytorch'])) < 0.05


@pytest.mark.parametrize('released', released_names())
def test_a_released_graph_is_the_network_whose_weights_it_holds(released, street):
    for value in ((graph := load_graph(released).graph).input[0], graph.output[0]):
        dimensions = value.type.tensor_type.shape.dim
        assert [d.dim_param or d.dim_value for d in dimensions] == ['N', 'H', 'W', 3]
    network = load_network(MODELS / f'{released}.onnx')
    with OpenVinoEngine(released, 'f32') as engine:
        assert difference(run(engine, street[None]), reference(network, street[None])) <= 2


@pytest.mark.parametrize(
    'shape',
    [
        Shape(channels=4, units=1),
        Shape(channels=4, units=3, scales=2, unshuffle=2, residual=False, widths=(2, 6)),
    ],
)
def test_weights_come_out_of_the_graph_bit_for_bit(shape, tmp_path):
    torch.manual_seed(0)
    trained = DerainNetwork(shape)
    export(trained, tmp_path / 'mine.onnx')
    loaded = load_network(tmp_path / 'mine.onnx')
    assert loaded.shape == shape
    for name, weight in trained.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], weight), name


def test_a_graph_that_names_no_shape_cannot_be_trained_from(tmp_path):
    graph = load_graph('fast')
    del graph.metadata_props[:]
    write_graph(graph, tmp_path / 'mine.onnx')
    with pytest.raises(ModelError, match=r'mine\.onnx: does not say its shape'):
        load_network(tmp_path / 'mine.onnx')


def test_what_is_exported_now_is_what_was_released(network):
    weights = [
        {tensor.name: tensor.raw_data for tensor in graph.graph.initializer}
        for graph in (frame_graph(network), load_graph('fast'))
    ]
    assert weights[0] == weights[1]


@pytest.mark.parametrize('options', [[], ['--precision', 'fp16']])
def test_the_command_exports_any_trained_weights(tmp_path, tiny, traced, street, options):
    graph = tmp_path / 'tiny.onnx'
    assert main([str(tiny), str(graph), *options]) == 0
    output = run(OpenVinoEngine(str(graph), 'f32'), street[None])
    assert difference(output, reference(load_network(tiny), street[None])) <= 1
    assert str(Path.home()).encode() not in graph.read_bytes()


def test_weights_that_are_not_finite_are_not_exported(tmp_path, network, tiny_onnx, monkeypatch):
    broken = onnx.load(tiny_onnx)
    bias = next(each for each in broken.graph.initializer if each.name == 'image_conversion.bias')
    bias.CopyFrom(numpy_helper.from_array(np.array([0, 0, np.nan], np.float32), bias.name))
    monkeypatch.setattr('derain_ros.model.export.frame_graph', lambda _: broken)
    with pytest.raises(ModelError, match=r"tiny\.onnx.*'image_conversion\.bias' holds nan"):
        export(network, tmp_path / 'tiny.onnx')
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('order', ['rgb', 'bgr'])
def test_a_graph_that_is_not_of_this_network_is_named(tmp_path, order):
    value = onnx.helper.make_tensor_value_info('frames', onnx.TensorProto.FLOAT, [1])
    onnx.save(
        onnx.helper.make_model(onnx.helper.make_graph([], 'other', [value], [value])),
        tmp_path / 'other.onnx',
    )
    with pytest.raises(ModelError, match=r"other\.onnx: has no weight 'feature_transform.*export"):
        load_graph(str(tmp_path / 'other.onnx'), order)


def test_weights_that_do_not_fit_are_named(tmp_path):
    with pytest.raises(ModelError, match=r'missing\.safetensors'):
        load_network(tmp_path / 'missing.safetensors')
    save_file({'a': torch.zeros(1)}, tmp_path / 'other.safetensors')
    with pytest.raises(ModelError, match=r'other\.safetensors: does not say its shape'):
        load_network(tmp_path / 'other.safetensors')
    save_file({'a': torch.zeros(1)}, tmp_path / 'a.safetensors', {'shape': '{"channels": 4}'})
    with pytest.raises(ModelError, match=r"does not say its shape.*missing .* 'units'"):
        load_network(tmp_path / 'a.safetensors')
    shape = Shape(channels=4, units=1)
    save_file({'a': torch.zeros(1)}, tmp_path / 'a.safetensors', {'shape': shape.to_json()})
    with pytest.raises(ModelError, match=r'does not fit its Shape\(channels=4, units=1'):
        load_network(tmp_path / 'a.safetensors')


@pytest.mark.parametrize(
    'shape',
    [
        '[' * 100_000,
        '{"channels": "4", "units": 1}',
        '{"channels": 4.0, "units": 1}',
        '{"channels": 4, "units": 0}',
        '{"channels": 1000000000, "units": 1}',
        '{"channels": 4, "units": 1, "residual": 1}',
        '[4, 1]',
        'null',
    ],
)
def test_weights_of_a_shape_that_cannot_be_are_named(tmp_path, shape):
    save_file({'a': torch.zeros(1)}, tmp_path / 'odd.safetensors', {'shape': shape})
    with pytest.raises(ModelError, match=r'odd\.safetensors: does not say its shape') as refused:
        load_network(tmp_path / 'odd.safetensors')
    assert len(str(refused.value)) < 1000


def test_bgr_swaps_the_colours_of_the_last_bias_too():
    biases = [
        {
            tensor.name: onnx.numpy_helper.to_array(tensor)
            for tensor in load_graph('fast', order).graph.initializer
        }['image_conversion.bias']
        for order in ('rgb', 'bgr')
    ]
    rgb, bgr = (bias.reshape(3, -1) for bias in biases)
    assert not np.array_equal(rgb, bgr)
    assert np.array_equal(rgb[::-1], bgr)


def test_a_full_disk_leaves_the_graph_that_was_there(tmp_path):
    (tmp_path / 'mine.onnx').write_bytes(b'old')
    with small_disk(), pytest.raises(OSError, match='File too large'):
        write_graph(load_graph('fast'), tmp_path / 'mine.onnx')
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b'old']
