"""The stand-in for TensorRT computes our graphs, and says that it is none; here on the CPU."""

import importlib
import subprocess
import sys

from helpers.data import ROOT
from helpers.frames import difference, reference, run, SOLID
import numpy as np
import pytest

pytest.importorskip('cuda.bindings', reason='pip install -r requirements/tensorrt.txt')

from helpers.fake_gpu import FakeGpu
import torch

from derain_ros.engine.tensorrt import buffers
from derain_ros.engine.tensorrt import engine as module
from derain_ros.engine.tensorrt.build import build_engine
from derain_ros.engine.tensorrt.cache import EngineCache
from derain_ros.engine.tensorrt.cuda import Gpu
from derain_ros.engine.tensorrt.graph import Size
from derain_ros.errors import EngineError
from derain_ros.model.export import load_network
from derain_ros.model.released import MODELS

STAND_IN = ROOT / 'test' / 'stand_in'


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """Return an empty cache, with the stand-in in place of TensorRT on a GPU in memory only."""
    monkeypatch.syspath_prepend(str(STAND_IN))
    monkeypatch.delitem(sys.modules, 'tensorrt', raising=False)
    stand_in = importlib.import_module('tensorrt')
    gpu = FakeGpu()
    execute = stand_in.Engine.execute_async_v3
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(
        stand_in.Engine,
        'execute_async_v3',
        lambda engine, stream: gpu.work(lambda: execute(engine, stream)) or True,
    )
    for place in (module, buffers):
        monkeypatch.setattr(place, 'cuda', gpu)
    for place in (module, importlib.import_module('derain_ros.engine.tensorrt.build')):
        monkeypatch.setattr(place, 'first_gpu', lambda: Gpu('memory only', '0.0'))
    yield EngineCache(tmp_path / 'derain_ros')
    for name in ('tensorrt', 'tensorrt.graph'):
        sys.modules.pop(name, None)


@pytest.mark.parametrize('cuda_graph', [True, False])
@pytest.mark.parametrize(('precision', 'off'), [('fp16', 2), ('fp32', 1)])
def test_frames_are_de_rained_as_pytorch_does_it(cache, cuda_graph, precision, off):
    size = Size(1, 24, 32)  # small, because a CPU has no instructions for half precision
    entry = build_engine('fast', size, order='rgb', precision=precision, cache=cache)
    network = load_network(MODELS / 'fast.onnx')
    with module.TensorRtEngine(entry, cuda_graph=cuda_graph) as engine:
        assert (engine.precision, engine.uses_cuda_graph) == (precision, cuda_graph)
        for image in SOLID.values():
            frames = image[None, 36:60, 48:80].copy()
            assert difference(run(engine, frames), reference(network, frames)) <= off


def test_sides_of_no_multiple_and_the_order_of_the_channels_are_those_of_the_graph(cache, street):
    frames = np.stack([street, street[::-1]])
    entry = build_engine(
        'fast', Size(*frames.shape[:3]), order='bgr', precision='fp32', cache=cache
    )
    expected = reference(load_network(MODELS / 'fast.onnx'), frames)
    with module.TensorRtEngine(entry) as engine:
        found = run(engine, np.ascontiguousarray(frames[..., ::-1]), 'bgr')
    assert difference(found[..., ::-1], expected) <= 1


def test_it_never_passes_for_tensorrt(cache):
    entry = build_engine('fast', Size(1, 48, 64), cache=cache)
    assert 'stand.in' in entry.key.version


def test_a_plan_of_something_else_is_refused(cache):
    entry = build_engine('fast', Size(1, 48, 64), cache=cache)
    vars(entry)['plan'] = b'no plan'
    with pytest.raises(EngineError, match='was not taken: this is no plan of the stand-in'):
        module.TensorRtEngine(entry)


def test_nobody_gets_it_unasked():
    done = subprocess.run(
        [
            sys.executable,
            '-c',
            'import derain_ros.engine.tensorrt.api as api; print(api.load_tensorrt().version)',
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert 'stand.in' not in done.stdout
