"""The pipeline: newest first, nothing withheld, nothing invented. Real messages, no ROS node."""

from array import array
import gc
import threading
import time
import weakref

import numpy as np
import pytest
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from derain_ros.errors import DeadlineError, EngineError
from derain_ros.stream.pipeline import Counts, Pipeline, Result

PATIENCE = 10


class Inverter:
    """An engine whose result is easy to tell from its input, and that can be held up."""

    name, precision, problem = 'inverter', 'u8', ''

    def __init__(self) -> None:
        self.started, self.go_on = threading.Semaphore(0), threading.Semaphore(0)
        self.held, self.error, self.timeouts = False, None, []

    def infer(self, frames, out, order, timeout=None):
        self.timeouts.append(timeout)
        self.started.release()
        if self.held:
            assert self.go_on.acquire(timeout=PATIENCE)
        if self.error is not None:
            out[:] = 77  # half a result, as a failing engine may leave it
            raise self.error
        np.subtract(255, frames, out=out)


class Recorder:
    """Keeps what the pipeline delivers, as the pixels were at that moment."""

    def __init__(self) -> None:
        self.results: list[tuple[Result, np.ndarray | None]] = []
        self._arrived = threading.Semaphore(0)

    def __call__(self, result: Result) -> None:
        message = result.message
        self.results.append((result, None if message is None else np.array(message.data)))
        self._arrived.release()

    def wait(self, count: int = 1) -> None:
        for _ in range(count):
            assert self._arrived.acquire(timeout=PATIENCE), 'nothing was delivered'


class Clock:
    """A clock that goes when told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def image(value: int = 10, encoding: str = 'bgr8', channels: int = 3) -> Image:
    data = array('B', [value]) * (16 * 20 * channels)
    return Image(
        header=Header(frame_id=str(value)),
        height=16,
        width=20,
        encoding=encoding,
        step=20 * channels,
        data=data,
    )


@pytest.fixture
def engine():
    return Inverter()


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def pipeline(engine, recorder):
    pipeline = Pipeline(engine, Image(), recorder, deadline=1.0, clock=Clock())
    yield pipeline
    engine.held = False
    engine.go_on.release(10)
    pipeline.close()


def test_an_image_comes_out_derained_under_its_own_header(pipeline, recorder):
    sent = image(10)
    sent.header.stamp.sec, sent.header.stamp.nanosec = 12, 345
    pipeline.submit(sent)
    recorder.wait()
    ((result, pixels),) = recorder.results
    assert result.error is None
    assert result.message.header == sent.header
    assert (result.message.encoding, result.message.step) == ('bgr8', 60)
    assert np.all(pixels == 245)
    assert pipeline.counts == Counts(received=1, derained=1)


def test_the_newest_image_wins_and_the_replaced_are_counted(pipeline, engine, recorder):
    engine.held = True
    pipeline.submit(image(1))
    assert engine.started.acquire(timeout=PATIENCE)
    for value in (2, 3, 4):  # 2 and 3 are replaced while 1 is in work
        pipeline.submit(image(value))
    engine.held = False
    engine.go_on.release()
    recorder.wait(2)
    assert [pixels[0] for _, pixels in recorder.results] == [254, 251]
    assert pipeline.counts == Counts(received=4, derained=2, replaced=2)


@pytest.mark.parametrize('error', [EngineError('out of memory'), MemoryError('even this')])
def test_when_the_engine_fails_the_image_passes_through_unchanged(
    pipeline, engine, recorder, error
):
    engine.error = error
    pipeline.submit(image(10))
    recorder.wait()
    engine.error = None
    pipeline.submit(image(20))
    recorder.wait()
    (failed, failed_pixels), (derained, derained_pixels) = recorder.results
    assert failed.error is error
    assert np.all(failed_pixels == 10)
    assert derained.error is None
    assert np.all(derained_pixels == 235)
    assert pipeline.counts == Counts(received=2, derained=1, passed_through=1)


def test_the_engine_is_told_how_much_of_the_deadline_is_left(engine, recorder):
    clock = Clock()
    pipeline = Pipeline(engine, Image(), recorder, deadline=0.1, clock=clock)
    engine.held = True
    pipeline.submit(image(1))
    assert engine.started.acquire(timeout=PATIENCE)
    pipeline.submit(image(2))
    clock.now += 0.04
    engine.held = False
    engine.go_on.release()
    recorder.wait(2)
    pipeline.close()
    assert engine.timeouts == pytest.approx([0.1, 0.06])
    assert [result.latency for result, _ in recorder.results] == pytest.approx([0.04, 0.04])


def test_what_misses_the_deadline_passes_through(pipeline, engine, recorder):
    engine.error = DeadlineError('no result in time')
    pipeline.submit(image(10))
    recorder.wait()
    ((result, pixels),) = recorder.results
    assert isinstance(result.error, DeadlineError)
    assert np.all(pixels == 10)


def test_closing_waits_for_the_image_in_work_and_forgets_the_waiting_one(
    pipeline, engine, recorder
):
    engine.held = True
    pipeline.submit(image(1))
    assert engine.started.acquire(timeout=PATIENCE)
    pipeline.submit(image(2))
    threading.Timer(0.05, engine.go_on.release).start()
    assert pipeline.close()
    assert [pixels[0] for _, pixels in recorder.results] == [254]


def test_closing_does_not_wait_for_an_engine_that_hangs(pipeline, engine, recorder):
    engine.held = True
    pipeline.submit(image(1))
    assert engine.started.acquire(timeout=PATIENCE)
    assert not pipeline.close()
    engine.go_on.release()
    end = time.monotonic() + PATIENCE
    while pipeline.counts.derained == 0:
        assert time.monotonic() < end
        time.sleep(0.001)
    assert recorder.results == []


def test_a_closed_pipeline_lets_go_of_an_engine_that_failed_last():
    class Failing(Inverter):
        def infer(self, frames, out, order, timeout=None):
            raise EngineError('out of memory')

    engine, failed = Failing(), threading.Event()
    held = weakref.ref(engine)
    pipeline = Pipeline(engine, Image(), lambda result: failed.set(), deadline=1.0)
    gc.disable()  # else it may help
    try:
        pipeline.submit(image())
        assert failed.wait(PATIENCE)
        pipeline.close()
        del pipeline, engine
        assert held() is None
    finally:
        gc.enable()


def test_the_output_message_is_reused_across_sizes_and_encodings(pipeline, recorder):
    for sent in (image(1), image(2, 'mono8', 1), image(3, 'bgra8', 4), image(4, 'rgb8')):
        pipeline.submit(sent)
        recorder.wait()
    assert [result.message.header.frame_id for result, _ in recorder.results] == ['4'] * 4
    assert [len(pixels) for _, pixels in recorder.results] == [960, 320, 1280, 960]
    mono, alpha = recorder.results[1][1], recorder.results[2][1].reshape(16, 20, 4)
    assert np.all(mono == 253)
    assert np.all(alpha[..., :3] == 252)
    assert np.all(alpha[..., 3] == 3)
