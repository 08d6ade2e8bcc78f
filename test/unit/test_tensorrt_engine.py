"""The TensorRT engine on a GPU that exists in memory only; test/gpu runs it on a real one."""

from pathlib import Path
from threading import Thread
import time

from helpers.frames import run
import numpy as np
import pytest

pytest.importorskip('cuda.bindings', reason='pip install -r requirements/tensorrt.txt')

from helpers.fake_gpu import FakeGpu, FakeTensorRt

from derain_ros.engine.tensorrt import buffers
from derain_ros.engine.tensorrt import engine as module
from derain_ros.engine.tensorrt.engine import PlanError, TensorRtEngine
from derain_ros.engine.tensorrt.entry import Entry, Facts, Key
from derain_ros.errors import DeadlineError, EngineError

SHAPE = (2, 16, 24, 3)
ENTRY = Entry(
    path=Path('small.engine'),
    key=Key(
        graph='',
        flavour='tensorrt',
        version='11.0',
        gpu='',
        compute_capability='',
        precision='fp16',
        order='bgr',
        batch=SHAPE[0],
        height=SHAPE[1],
        width=SHAPE[2],
        flags='',
    ),
    facts=Facts(model='fast', convolutions={}, seconds=0),
    plan=b'plan',
)
FRAMES = np.random.default_rng(0).integers(0, 256, SHAPE, np.uint8)


@pytest.fixture
def gpu(monkeypatch) -> FakeGpu:
    gpu = FakeGpu()
    monkeypatch.setattr(module, 'cuda', gpu)
    monkeypatch.setattr(buffers, 'cuda', gpu)
    monkeypatch.setattr(module, 'first_gpu', lambda: None)
    monkeypatch.setattr(module, 'load_tensorrt', FakeTensorRt(gpu, SHAPE).load)
    monkeypatch.setattr(module, 'WARM_UP_TIMEOUT_S', 0.01)
    return gpu


def wait_until_freed(gpu: FakeGpu) -> None:
    end = time.monotonic() + 10
    while gpu.held:
        assert time.monotonic() < end, gpu.held
        time.sleep(0.001)


@pytest.mark.parametrize('cuda_graph', [True, False])
def test_frames_travel_through_the_gpu_and_closing_frees_all_of_it(gpu, cuda_graph):
    with TensorRtEngine(ENTRY, cuda_graph=cuda_graph) as engine:
        assert (engine.uses_cuda_graph, engine.precision) == (cuda_graph, 'fp16')
        for frames in (FRAMES, FRAMES[:, ::-1, ::-1]):
            assert np.array_equal(run(engine, frames, 'bgr'), 255 - frames)
    assert gpu.held == {}
    engine.close()
    with pytest.raises(EngineError, match='the engine is closed'):
        run(engine, FRAMES, 'bgr')


def test_where_no_graph_can_be_recorded_frames_go_step_by_step(gpu, caplog):
    gpu.refuses_capture = True
    with TensorRtEngine(ENTRY) as engine:
        assert not engine.uses_cuda_graph
        assert np.array_equal(run(engine, FRAMES, 'bgr'), 255 - FRAMES)
    assert 'step by step, not as a CUDA graph' in caplog.text


def test_a_late_frame_leaves_the_next_one_right(gpu):
    with TensorRtEngine(ENTRY) as engine:
        out = np.zeros(SHAPE, np.uint8)
        gpu.hangs = True
        with pytest.raises(DeadlineError, match='24x16: the GPU gave no result in time'):
            engine.infer(FRAMES, out, 'bgr', timeout=0.01)
        assert not out.any()
        gpu.hangs = False
        assert np.array_equal(run(engine, FRAMES, 'bgr'), 255 - FRAMES)


def test_an_engine_that_is_not_taken_leaves_nothing_behind(gpu):
    with pytest.raises(PlanError, match=r'small\.engine was not taken'):
        TensorRtEngine(Entry(path=ENTRY.path, key=ENTRY.key, facts=ENTRY.facts, plan=b'other'))
    wait_until_freed(gpu)


def test_loading_on_a_gpu_that_hangs_ends_and_is_cleaned_up_when_it_goes_on(gpu):
    gpu.hangs = True
    with pytest.raises(DeadlineError, match='the GPU gave no result in time'):
        TensorRtEngine(ENTRY)
    assert gpu.held
    gpu.hangs = False
    wait_until_freed(gpu)


def test_closing_waits_for_a_gpu_that_hangs_before_it_frees_anything(gpu):
    engine = TensorRtEngine(ENTRY)
    gpu.hangs = True
    closing = Thread(target=engine.close, daemon=True)
    closing.start()
    closing.join(0.05)
    assert closing.is_alive()
    assert gpu.held
    gpu.hangs = False
    closing.join(10)
    assert gpu.held == {}
