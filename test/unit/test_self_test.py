"""The self-test: engines that are right pass it, destroyed weights and wrong engines do not."""

import numpy as np
from onnx import numpy_helper
import pytest

from derain_ros.engine.base import Engine
from derain_ros.engine.factory import create_engine
from derain_ros.engine.openvino import OpenVinoEngine
from derain_ros.engine.self_test import self_test, SelfTestError
from derain_ros.errors import ModelError
from derain_ros.model.graph import load_graph, write_graph
from derain_ros.model.released import released_names


@pytest.mark.parametrize('model', released_names())
def test_released_models_pass(model):
    create_engine('openvino', model).close()


@pytest.mark.parametrize('seed', range(16))
def test_one_flipped_bit_in_any_weight_is_found(seed, tmp_path):
    rng, graph = np.random.default_rng(seed), load_graph('fast')
    weights = [tensor for tensor in graph.graph.initializer if tensor.name.endswith('weight')]
    sizes = np.array([np.prod(tensor.dims) for tensor in weights])
    tensor = rng.choice(weights, p=sizes / sizes.sum())
    values = numpy_helper.to_array(tensor).copy()
    bits = values.reshape(-1).view(np.uint32)
    bits[rng.integers(bits.size)] ^= 1 << 30  # the highest of the exponent
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    assert np.isfinite(values).all()
    write_graph(graph, tmp_path / 'flipped.onnx')  # with the checksum of what is there now
    with pytest.raises(ModelError, match=r"flipped\.onnx': self-test: .* damaged.* export"):
        create_engine('openvino', str(tmp_path / 'flipped.onnx'))


class Wrong(Engine):
    """An engine that computes something else than its model."""

    name, precision, problem = 'wrong', 'f32', ''

    def __init__(self, right: Engine, change) -> None:
        self._right, self._change = right, change

    def infer(self, frames, out, order, timeout=None) -> None:
        self._right.infer(frames, out, order, timeout)
        out[:] = self._change(frames, out)

    def close(self) -> None:
        pass


@pytest.fixture(scope='module')
def exact():
    with OpenVinoEngine('fast', 'f32') as engine:
        yield engine


@pytest.mark.parametrize(
    'change',
    [
        lambda frames, out: frames,
        lambda frames, out: out[..., ::-1],
        lambda frames, out: np.zeros_like(out),
        lambda frames, out: np.full_like(out, 255),
        lambda frames, out: np.minimum(out, 253) + 2,
        lambda frames, out: np.roll(out, 1, axis=2),
    ],
    ids=['rain stays', 'colours swapped', 'black', 'white', 'brighter', 'moved'],
)
def test_an_engine_that_computes_something_else_is_found(exact, change):
    with pytest.raises(SelfTestError, match='self-test: '):
        self_test(Wrong(exact, change), exact, (1, 64, 64), 'bgr')


def test_of_a_batch_every_frame_is_tested(exact):
    def spoil_last(frames: np.ndarray, out: np.ndarray) -> np.ndarray:
        return np.concatenate([out[:-1], frames[-1:]])

    with pytest.raises(SelfTestError, match='a rainy frame came out'):
        self_test(Wrong(exact, spoil_last), exact, (2, 64, 64), 'bgr')


@pytest.mark.parametrize('size', [(16, 16), (300, 290), (40, 512)])
def test_a_frame_larger_than_what_float32_recomputes_passes_where_it_is_right(exact, size):
    with OpenVinoEngine('fast', 'bf16') as engine:
        self_test(engine, exact, (1, *size), 'rgb')


def test_without_a_reference_the_dry_frame_alone_is_tested(exact):
    self_test(Wrong(exact, lambda frames, out: frames), None, (1, 64, 64), 'bgr')
    with pytest.raises(SelfTestError, match='100% of a dry frame came out over 48 grey levels'):
        self_test(Wrong(exact, lambda frames, out: 0 * out), None, (1, 64, 64), 'bgr')
