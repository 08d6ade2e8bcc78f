"""
The TensorRT engine at work, on machines with an NVIDIA GPU and TensorRT; elsewhere these skip.

    python3 -m pytest test/gpu
"""

import logging
from pathlib import Path

from helpers.frames import difference, reference, run, SOLID, TorchEngine
import numpy as np
import pytest

from derain_ros.engine.factory import create_engine
from derain_ros.engine.failover import AutoEngine
from derain_ros.engine.self_test import self_test
from derain_ros.engine.tensorrt.api import create_log, create_on_cuda, load_tensorrt
from derain_ros.engine.tensorrt.build import build_engine
from derain_ros.engine.tensorrt.build_process import BuildProcess
from derain_ros.engine.tensorrt.cache import EngineCache
from derain_ros.engine.tensorrt.cuda import first_gpu
from derain_ros.engine.tensorrt.entry import Entry
from derain_ros.engine.tensorrt.graph import Size
from derain_ros.errors import DeadlineError, EngineError
from derain_ros.model.export import load_network
from derain_ros.model.graph import load_graph
from derain_ros.model.half import convolutions
from derain_ros.model.released import MODELS

try:
    load_tensorrt()
except EngineError as missing:
    pytest.skip(f'{missing}; pip install -r requirements/tensorrt.txt', allow_module_level=True)

from derain_ros.engine.tensorrt import engine as tensorrt
from derain_ros.engine.tensorrt.engine import TensorRtEngine

try:
    first_gpu()
    NO_GPU = ''
except EngineError as reason:
    NO_GPU = str(reason)

needs_gpu = pytest.mark.skipif(bool(NO_GPU), reason=NO_GPU)


@pytest.fixture(scope='module')
def cache(tmp_path_factory: pytest.TempPathFactory) -> EngineCache:
    return EngineCache(tmp_path_factory.mktemp('engines') / 'derain_ros')


@pytest.fixture(scope='module')
def entry(cache: EngineCache) -> Entry:
    return build_engine('fast', Size(1, 96, 128), order='rgb', cache=cache)


@pytest.fixture(scope='module')
def expected() -> dict[str, np.ndarray]:
    network = load_network(MODELS / 'fast.onnx')
    return {name: reference(network, image[None]) for name, image in SOLID.items()}


@pytest.mark.skipif(not NO_GPU, reason='there is a GPU')
def test_without_a_gpu_the_driver_says_why(entry):
    with pytest.raises(EngineError, match='no GPU can be used: CUDA: '):
        TensorRtEngine(entry)


@pytest.mark.skipif(not NO_GPU, reason='there is a GPU')
def test_without_a_gpu_tensorrt_is_refused():
    pytest.importorskip('openvino', reason='it runs until TensorRT does')
    with pytest.raises(EngineError, match="engine 'tensorrt': no GPU can be used"):
        create_engine('tensorrt', 'fast')


@pytest.mark.skipif(not NO_GPU, reason='there is a GPU')
def test_without_a_gpu_the_node_is_told_once_what_runs_and_why(caplog):
    pytest.importorskip('openvino', reason='it runs until TensorRT does')
    caplog.set_level('INFO')
    assert create_engine('auto', 'fast').name == 'openvino'
    (record,) = caplog.records
    assert (record.levelname, 'no GPU can be used' in record.message) == ('INFO', True)


@needs_gpu
@pytest.mark.parametrize('cuda_graph', [True, False])
def test_frames_agree_with_float32_pytorch(entry, expected, cuda_graph):
    with TensorRtEngine(entry, cuda_graph=cuda_graph) as engine:
        assert engine.uses_cuda_graph == cuda_graph
        for name, image in SOLID.items():
            assert difference(run(engine, image[None]), expected[name]) <= 2, name


@needs_gpu
@pytest.mark.parametrize('order', ['bgr', 'rgb'])
def test_colours_stay_where_they_are(cache, order, street):
    size = Size(1, *street.shape[:2])
    frame = street if order == 'rgb' else np.ascontiguousarray(street[..., ::-1])
    with TensorRtEngine(build_engine('fast', size, order=order, cache=cache)) as engine:
        out = run(engine, frame[None], order)
    derained = out if order == 'rgb' else out[..., ::-1]
    expected = reference(load_network(MODELS / 'fast.onnx'), street[None])
    assert np.abs(derained.astype(float) - expected).mean() < 0.5


@needs_gpu
@pytest.mark.parametrize('size', [Size(1, 48, 64), Size(2, 300, 520)])
def test_a_right_engine_passes_its_self_test(cache, size):
    exact = TorchEngine(load_network(MODELS / 'fast.onnx'))
    with TensorRtEngine(build_engine('fast', size, order='rgb', cache=cache)) as engine:
        self_test(engine, exact, size, 'rgb', timeout_s=30.0)


@needs_gpu
def test_the_precision_is_read_from_the_engine(entry):
    with TensorRtEngine(entry) as engine:
        assert engine.precision == 'fp16'


@needs_gpu
def test_a_missed_deadline_leaves_the_next_frame_right(entry, expected):
    out = np.zeros((1, 96, 128, 3), np.uint8)
    with TensorRtEngine(entry) as engine:
        with pytest.raises(DeadlineError):
            engine.infer(SOLID['white'][None], out, 'rgb', timeout=0.0)
        assert not out.any()
        engine.infer(SOLID['half white'][None], out, 'rgb', timeout=10.0)
    assert difference(out, expected['half white']) <= 2


@needs_gpu
def test_other_frames_than_the_engines_are_refused(entry):
    frames = np.zeros((1, 96, 96, 3), np.uint8)
    with (
        TensorRtEngine(entry) as engine,
        pytest.raises(EngineError, match=r'the engine takes rgb \(1, 96, 128, 3\)'),
    ):
        engine.infer(frames, np.zeros_like(frames), 'rgb')


@needs_gpu
def test_a_closed_engine_refuses_frames_and_may_be_closed_again(entry):
    engine, frames = TensorRtEngine(entry), SOLID['white'][None]
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match='the engine is closed'):
        run(engine, frames)


@needs_gpu
def test_a_plan_that_tensorrt_does_not_take_is_refused_in_its_words(entry):
    broken = Entry(path=entry.path, key=entry.key, facts=entry.facts, plan=b'no plan' * 1000)
    with pytest.raises(EngineError, match=r'TensorRT: .*\.engine was not taken: '):
        TensorRtEngine(broken)


@needs_gpu
def test_auto_is_on_the_cpu_at_once_and_on_tensorrt_soon(expected, monkeypatch, tmp_path: Path):
    pytest.importorskip('openvino', reason='it runs until TensorRT does')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    with create_engine('auto', 'fast') as engine:
        assert isinstance(engine, AutoEngine)
        run(engine, SOLID['half white'][None])
        assert engine.name == 'openvino'
        while engine.name == 'openvino':
            assert engine.problem == ''
            out = run(engine, SOLID['half white'][None])
            assert difference(out, expected['half white']) <= 2


@pytest.mark.skipif(not NO_GPU, reason='there is a GPU')
def test_another_process_builds_and_this_one_says_why_it_cannot_load(
    monkeypatch, tmp_path, caplog
):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    caplog.set_level('INFO')
    with pytest.raises(EngineError, match='no GPU can be used'):
        BuildProcess('fast', logging.getLogger()).build(Size(1, 48, 64), 'rgb')
    (built,) = EngineCache(tmp_path / 'derain_ros').entries()
    assert isinstance(built, Entry)
    count = len(convolutions(load_graph('fast')))
    assert (built.key.height, built.key.width) == (48, 64)
    assert (built.key.order, built.facts.convolutions) == ('rgb', {'fp16': count})
    messages = ' '.join(record.message for record in caplog.records)
    assert 'building the TensorRT engine for 1 x 64x48 rgb in the background' in messages
    assert 'anew' not in messages


@needs_gpu
def test_an_engine_that_does_not_load_is_built_once_more(monkeypatch, tmp_path, caplog):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    good = build_engine('fast', Size(1, 48, 64))
    EngineCache().get(good.key, lambda: (b'no plan' * 1000, good.facts), rebuild=True)
    with BuildProcess('fast', logging.getLogger()).build(Size(1, 48, 64), 'bgr') as engine:
        assert engine.precision == 'fp16'
    assert sum('anew' in record.message for record in caplog.records) == 1


def test_what_is_refused_again_and_again_is_built_anew_only_once(monkeypatch, tmp_path, caplog):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))

    def refuse(entry: Entry) -> None:
        raise tensorrt.PlanError('out of memory')

    monkeypatch.setattr(tensorrt, 'TensorRtEngine', refuse)
    caplog.set_level('INFO')
    builds = BuildProcess('fast', logging.getLogger())
    for _ in range(3):
        with pytest.raises(tensorrt.PlanError, match='out of memory'):
            builds.build(Size(1, 48, 64), 'bgr')
    assert [record.message for record in caplog.records if 'anew' in record.message] == [
        'building it anew: out of memory'
    ]
    assert sum('it was asked for' in record.message for record in caplog.records) == 1


def test_the_reason_for_which_tensorrt_cannot_use_cuda_is_its_own():
    def refuse(log: object) -> None:
        log.log(load_tensorrt().module.ILogger.ERROR, 'CUDA initialization failure: 35')
        raise TypeError('pybind11::init(): factory function returned nullptr')

    with pytest.raises(EngineError, match='TensorRT cannot use CUDA: CUDA initialization fail'):
        create_on_cuda(refuse, create_log(load_tensorrt()))
