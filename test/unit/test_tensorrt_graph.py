"""The float16 graph that TensorRT builds from, run on the CPU against float32 PyTorch."""

from functools import cache
from pathlib import Path

import cv2
from helpers.data import data_folder
from helpers.frames import difference, reference, SOLID
from helpers.released import MODELS_BUILT, require
import numpy as np
import onnx
from onnx import numpy_helper, TensorProto
import onnxruntime
import pytest

from derain_ros.engine.tensorrt.graph import Size, tensorrt_graph
from derain_ros.errors import ModelError
from derain_ros.model.export import load_network
from derain_ros.model.graph import load_graph, write_graph
from derain_ros.model.half import halve
from derain_ros.model.released import MODELS
from derain_ros.order import Order
from training.data.pairs import read_pairs


@cache
def load(model: str, size: Size, order: Order) -> onnxruntime.InferenceSession:
    graph = tensorrt_graph(model, size, order, 'fp16')
    return onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=['CPUExecutionProvider']
    )


def run(model: str, frames: np.ndarray, order: Order = 'rgb') -> np.ndarray:
    """De-rain uint8 frames [N, H, W, 3] with the float16 graph in ONNX Runtime."""
    return load(model, Size(*frames.shape[:3]), order).run(None, {'frames': frames})[0]


@pytest.fixture(scope='module', params=MODELS_BUILT)
def model(request: pytest.FixtureRequest) -> str:
    return require(request.param)


@pytest.mark.parametrize('content', SOLID)
def test_extremes_stay_within_two_grey_levels_of_float32(model, content):
    frames = SOLID[content][None]
    expected = reference(load_network(MODELS / f'{model}.onnx'), frames)
    assert difference(run(model, frames), expected) <= 2


@pytest.mark.parametrize('name', ['rain_light', 'rain_heavy', 'rain_mixed'])
def test_the_validation_split_scores_as_in_float32(name):
    network = load_network(MODELS / 'fast.onnx')
    folder = data_folder(name)
    scores = {'fp16': [], 'fp32': []}
    for pair in read_pairs(folder):
        if 181 <= pair.number <= 200:
            rainy, clean = pair.rainy[None], pair.clean[None]
            scores['fp16'].append(cv2.PSNR(run('fast', rainy), clean))
            scores['fp32'].append(cv2.PSNR(reference(network, rainy), clean))
    assert len(scores['fp16']) >= 15
    print(f'{name}: fp16 {np.mean(scores["fp16"]):.3f} dB, fp32 {np.mean(scores["fp32"]):.3f} dB')
    assert abs(np.mean(scores['fp16']) - np.mean(scores['fp32'])) < 0.05


def test_a_batch_of_bgr_frames_of_an_odd_size(street):
    frames = np.stack([street, street[::-1]])
    expected = reference(load_network(MODELS / 'fast.onnx'), frames)
    output = run('fast', np.ascontiguousarray(frames[..., ::-1]), 'bgr')
    assert difference(output[..., ::-1], expected) <= 2


def test_only_the_body_is_float16():
    graph = onnx.shape_inference.infer_shapes(
        tensorrt_graph('fast', Size(1, 64, 96), 'bgr', 'fp16'), strict_mode=True
    )
    types = {value.name: value.type.tensor_type.elem_type for value in graph.graph.value_info}
    halves = [
        node.op_type
        for node in graph.graph.node
        if types.get(node.output[0]) == TensorProto.FLOAT16
    ]
    assert halves.count('Conv') == sum(
        node.op_type == 'Conv' for node in load_graph('fast').graph.node
    )
    assert not {'Sub', 'Clip', 'Round', 'Div'} & set(halves)


def test_frames_feed_a_cast_and_sizes_are_constants():
    nodes = tensorrt_graph('fast', Size(4, 720, 1280), 'bgr', 'fp32').graph.node
    assert [node.op_type for node in nodes if 'frames' in node.input] == ['Cast']
    assert [node.op_type for node in nodes if 'derained' in node.output] == ['Cast']
    assert not any(node.op_type in ('Shape', 'Mod') for node in nodes)


def test_a_float16_model_is_taken_as_it_is_and_cannot_become_float32(tmp_path):
    graph, size, path = load_graph('fast'), Size(1, 64, 96), str(tmp_path / 'fast-fp16.onnx')
    halve(graph)
    write_graph(graph, Path(path))
    assert tensorrt_graph(path, size, 'bgr', 'fp16') == tensorrt_graph('fast', size, 'bgr', 'fp16')
    with pytest.raises(ModelError, match=r"-fp16.onnx': is float16, .* take the float32 graph"):
        tensorrt_graph(path, size, 'bgr', 'fp32')


@pytest.mark.parametrize('value, precision', [(np.nan, 'fp32'), (np.inf, 'fp32'), (7e4, 'fp16')])
def test_a_weight_that_the_precision_cannot_carry_is_named(tmp_path, value, precision):
    broken = load_graph('fast')
    name = 'deraining.units.1.blocks.0.0.weight'
    tensor = next(tensor for tensor in broken.graph.initializer if tensor.name == name)
    weights = numpy_helper.to_array(tensor).copy()
    weights[3, 2, 1, 0] = value
    tensor.CopyFrom(numpy_helper.from_array(weights, name))
    onnx.save(broken, tmp_path / 'broken.onnx')
    with pytest.raises(ModelError, match=f'broken.onnx.*{name}.*{value}.*{precision}'):
        tensorrt_graph(str(tmp_path / 'broken.onnx'), Size(1, 64, 96), 'bgr', precision)
