"""The engine of the CPU: its deadline, its memory, and what it refuses."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from time import sleep

from helpers.frames import run
import numpy as np
import pytest

from derain_ros.engine import openvino
from derain_ros.engine.factory import create_engine
from derain_ros.engine.openvino import OpenVinoEngine, preferred_precision
from derain_ros.errors import DeadlineError, EngineError, ModelError
from derain_ros.model.graph import feature_values_per_pixel, load_graph
from derain_ros.model.released import MODELS


@pytest.mark.parametrize(
    'flags, precision',
    [
        ('fpu avx2', 'f32'),
        ('fpu avx2 avx512f avx512_vnni', 'f32'),  # emulates it
        ('fpu avx2 avx512f avx512_bf16', 'bf16'),
        ('fpu avx2 avx512f avx512_bf16 amx_bf16', 'bf16'),
    ],
)
def test_bfloat16_is_used_where_the_cpu_multiplies_in_it(tmp_path, flags, precision):
    (tmp_path / 'cpuinfo').write_text(f'processor\t: 0\nflags\t\t: {flags}\n')
    assert preferred_precision(tmp_path / 'cpuinfo') == precision
    assert preferred_precision(tmp_path / 'not on this system') == 'f32'


def test_a_late_result_is_refused_and_the_next_one_is_right(street):
    engine = OpenVinoEngine('fast', 'f32')
    large = np.resize(street, (1, 540, 960, 3))
    expected, late = run(engine, large), np.zeros_like(large)
    with pytest.raises(DeadlineError, match='no result in the 1 ms that were left of the dead'):
        engine.infer(large, late, 'rgb', timeout=0.001)
    late[:] = 77
    assert np.array_equal(run(engine, large), expected)
    assert np.all(late == 77), 'the caller may use the buffer again'


def test_compiling_for_a_new_size_holds_up_no_frame_beyond_its_deadline(street):
    engine, out = OpenVinoEngine('fast', 'f32'), np.zeros_like(street[None])
    for timeout in (0.001, 60.0):  # the first waits as long as it may, the others not at all
        with pytest.raises(DeadlineError, match='141x93: the network is still being compiled'):
            engine.infer(street[None], out, 'rgb', timeout)
    assert not out.any()
    engine.infer(street[None], out, 'rgb')
    assert np.array_equal(out, run(OpenVinoEngine('fast', 'f32'), street[None]))


def test_one_compilation_may_do_for_frames_of_all_sizes(street, monkeypatch):
    engine, each = OpenVinoEngine('fast', 'f32', any_size=True), OpenVinoEngine('fast', 'f32')
    compiled = []
    compile_size = engine._compile
    monkeypatch.setattr(
        engine, '_compile', lambda *key: compiled.append(key) or compile_size(*key)
    )
    for height, width in ((93, 141), (40, 141), (93, 60), (93, 141)):
        frame = np.ascontiguousarray(street[None, :height, :width])
        np.testing.assert_array_equal(run(engine, frame), run(each, frame))
    assert len(compiled) == 1


class Sizes:
    """An engine that notes which widths it compiles, on a clock that the test turns."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.engine = OpenVinoEngine('fast', 'f32', clock=lambda: self.now)
        self.compiled: list[int] = []
        compile_size = self.engine._compile

        def counted(shape: tuple[int, ...], order: str) -> object:
            self.compiled.append(shape[2])
            return compile_size(shape, order)

        monkeypatch.setattr(self.engine, '_compile', counted)

    def run(self, width: int) -> np.ndarray:
        frames = np.random.default_rng(0).integers(0, 256, (1, 16, 32, 3), np.uint8)
        return run(self.engine, frames[:, :, :width])


@pytest.fixture
def sizes(monkeypatch):
    # room for three of 16 x 24 pixels, which take 7 * 12 values of 4 bytes per pixel
    monkeypatch.setattr(openvino, 'MOST_BYTES', 3 * 16 * 24 * 7 * 12 * 4)
    sizes = Sizes(monkeypatch)
    yield sizes
    sizes.engine.close()


def test_where_memory_is_short_the_least_recently_used_size_makes_room_and_comes_back(sizes):
    first = sizes.run(24)
    for width in (22, 23, 24, 21):  # of which 22 is used least recently when 21 comes
        sizes.now += 3
        sizes.run(width)
    sizes.compiled.clear()
    assert np.array_equal(sizes.run(24), first)
    sizes.run(23)
    assert sizes.compiled == []
    sizes.run(22)
    assert sizes.compiled == [22]


def test_sizes_in_use_are_kept_where_memory_is_short(sizes):
    widths = [20, 21, 22, 23, 24]
    for _ in range(3):
        for width in widths:
            sizes.now += 0.3
            sizes.run(width)
    assert sizes.compiled == widths
    sizes.now += 2.5
    sizes.run(24)
    sizes.run(20)
    assert sizes.compiled == [*widths, 20]


def test_a_size_that_no_camera_sends_any_more_is_freed(sizes):
    sizes.run(20)
    sizes.now += 59
    sizes.run(21)
    sizes.run(20)
    sizes.now += 61
    sizes.run(21)
    sizes.run(20)
    assert sizes.compiled == [20, 21, 20]


def test_one_size_is_kept_however_large_it_is(sizes, monkeypatch):
    monkeypatch.setattr(openvino, 'MOST_BYTES', 0)
    for _ in range(2):
        sizes.run(24)
        sizes.now += 100
    assert sizes.compiled == [24]


@pytest.mark.parametrize('model, megabytes', [('fast', 286), ('reference-light', 1447)])
def test_the_estimate_of_memory_is_near_what_was_measured(model, megabytes):
    values = 1280 * 720 * feature_values_per_pixel(load_graph(model))
    assert values * 4 / 1e6 == pytest.approx(megabytes, rel=0.1)  # in f32


def test_a_size_that_could_not_be_compiled_is_tried_again(monkeypatch, street):
    def fail(*_: object) -> None:
        raise RuntimeError('out of memory')

    engine, frames = OpenVinoEngine('fast', 'f32'), street[None, :16, :16]
    with monkeypatch.context() as patch:
        patch.setattr(engine, '_compile', fail)
        with pytest.raises(EngineError, match='OpenVINO failed: out of memory'):
            run(engine, frames)
    assert run(engine, frames).any()


def test_a_closed_engine_refuses_frames_and_may_be_closed_again(street):
    with OpenVinoEngine('fast', 'f32') as engine:
        run(engine, street[None])
    with pytest.raises(EngineError, match='the engine is closed'):
        run(engine, street[None])
    engine.close()


def test_closing_waits_for_no_compilation_and_cancels_those_that_wait(monkeypatch):
    engine, frames = OpenVinoEngine('fast', 'f32'), np.zeros((1, 16, 32, 3), np.uint8)
    begun, compiled, go_on = Event(), [], Event()

    def compile_size(shape: tuple[int, ...], order: str) -> None:
        compiled.append(shape[2])
        begun.set()
        go_on.wait()

    monkeypatch.setattr(engine, '_compile', compile_size)
    for width in (16, 17, 18):
        with pytest.raises(DeadlineError, match='still being compiled'):
            engine.infer(frames[:, :, :width], np.zeros_like(frames[:, :, :width]), 'rgb', 0.0)
    assert begun.wait(10)
    engine.close()  # while the first is being compiled
    go_on.set()
    engine._compiler.shutdown()
    assert compiled == [16]


def test_a_frame_that_waits_for_its_compilation_ends_when_the_engine_is_closed(monkeypatch):
    engine, frames = OpenVinoEngine('fast', 'f32'), np.zeros((1, 16, 16, 3), np.uint8)
    monkeypatch.setattr(engine, '_compile', lambda shape, order: go_on.wait())
    go_on = Event()
    with pytest.raises(DeadlineError):
        engine.infer(frames[:, :, :, ::-1], np.zeros_like(frames), 'bgr', 0.0)
    with ThreadPoolExecutor(1) as camera:
        waiting = camera.submit(run, engine, frames)
        while len(engine._requests) < 2:
            sleep(0.001)
        engine.close()
        with pytest.raises(EngineError, match='the engine is closed'):
            waiting.result(10)
    go_on.set()


@pytest.mark.parametrize(
    'frames, out, reason',
    [
        (np.zeros((1, 32, 32, 3), np.float32), np.zeros((1, 32, 32, 3), np.uint8), 'not uint8'),
        (np.zeros((32, 32, 3), np.uint8), np.zeros((32, 32, 3), np.uint8), r'\[N, H, W, 3\]'),
        (np.zeros((1, 32, 32, 3), np.uint8), np.zeros((1, 32, 34, 3), np.uint8), 'but out is'),
        (np.zeros((1, 15, 32, 3), np.uint8), np.zeros((1, 15, 32, 3), np.uint8), '32x15 .* 16x16'),
        (
            np.zeros((1, 32, 32, 3), np.uint8),
            np.zeros((1, 32, 64, 3), np.uint8)[:, :, ::2],
            'C-contiguous',
        ),
    ],
)
def test_wrong_arrays_are_refused(frames, out, reason):
    with pytest.raises(EngineError, match=reason):
        OpenVinoEngine('fast').infer(frames, out, 'rgb')


def test_an_unknown_engine_or_model_is_named_with_the_known_ones(tmp_path, monkeypatch):
    with pytest.raises(EngineError, match=r"engine 'onnx' is unknown; known are auto"):
        create_engine('onnx', 'fast')
    with pytest.raises(ModelError, match=r"model 'fats': neither a released name \(.*fast"):
        create_engine('auto', 'fats')
    monkeypatch.setenv('HOME', str(tmp_path))
    broken = tmp_path / 'broken.onnx'
    broken.write_bytes((MODELS / 'fast.onnx').read_bytes()[:5000])
    with pytest.raises(ModelError, match='not an ONNX file'):
        create_engine('auto', '~/broken.onnx')
