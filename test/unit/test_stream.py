"""One camera: newest image first, deadline, pass-through."""

from collections.abc import Iterator
import gc
import weakref

from helpers.streams import Camera, FakeEngine, message, until
import numpy as np
import pytest

from derain_ros.errors import DeadlineError, EngineError
from derain_ros.stream.fates import Fate
from derain_ros.stream.scheduler import Scheduler


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def scheduler(engine: FakeEngine) -> Iterator[Scheduler]:
    scheduler = Scheduler(engine)
    yield scheduler
    engine.goes_on.set()
    scheduler.close()


@pytest.fixture
def camera(scheduler: Scheduler) -> Camera:
    return Camera(scheduler)


def test_an_image_comes_out_derained_under_its_own_header(camera):
    sent = message(7)
    camera.send(sent)
    until(lambda: camera.results)
    result = camera.results[0]
    assert result.fate is Fate.DERAINED
    assert result.reason == ''
    assert result.message.header is sent.header
    assert bytes(result.message.data) == sent.data
    assert result.latency_s > 0


def test_the_newest_image_wins_and_the_replaced_are_counted(camera, engine):
    engine.goes_on.clear()
    camera.send(message(0))
    until(engine.entered.is_set)
    for number in (1, 2, 3):
        camera.send(message(number))
    assert camera.stream.counts.waiting == 2
    engine.goes_on.set()
    until(lambda: len(camera.results) == 2)
    assert camera.stamps == [0, 3]
    assert camera.count(Fate.REPLACED) == 2
    assert camera.stream.counts.received == 4 == camera.stream.counts.finished


def test_when_the_engine_fails_the_image_passes_through_and_the_next_has_its_chance(
    camera, engine
):
    engine.error = EngineError('out of memory')
    sent = message(1)
    camera.send(sent)
    until(lambda: camera.results)
    assert camera.results[0].message is sent
    assert camera.results[0].fate is Fate.PASSED_THROUGH
    assert camera.results[0].reason == 'out of memory'
    engine.error = None
    camera.send(message(2))
    until(lambda: camera.count(Fate.DERAINED) == 1)


def test_the_engine_is_told_how_much_of_the_deadline_is_left(scheduler, engine):
    told = []

    def infer(frames, out, order, timeout):
        told.append(timeout)
        raise DeadlineError('late')

    engine.infer = infer
    camera = Camera(scheduler, deadline_s=5.0)
    camera.send(message())
    until(lambda: camera.results)
    assert 0 < told[0] <= 5.0
    assert camera.results[0].reason == 'late'


def test_images_leave_on_time_while_an_engine_hangs_that_knows_no_deadline(scheduler, engine):
    camera = Camera(scheduler, deadline_s=0.05)
    engine.goes_on.clear()
    for number in range(3):
        sent = message(number)
        camera.send(sent)
        until(lambda number=number: len(camera.results) == number + 1)
        assert camera.results[-1].message is sent
    assert [result.fate for result in camera.results] == [Fate.PASSED_THROUGH] * 3
    assert 'fake gave no result within the deadline of 50 ms' in camera.results[0].reason
    assert 'fake has been at work on one image' in camera.results[2].reason
    assert scheduler.overdue_s > 0
    engine.goes_on.set()
    until(lambda: scheduler.overdue_s == 0)
    camera.send(message(3))
    until(lambda: len(camera.results) == 4)
    assert camera.stamps == [0, 1, 2, 3], 'a result that is late is not published after them'


def test_a_deadline_may_change_while_an_image_waits(scheduler, engine):
    camera = Camera(scheduler, deadline_s=60.0)
    engine.goes_on.clear()
    camera.send(message(0))
    until(engine.entered.is_set)
    camera.send(message(1))
    scheduler.set_deadline(camera.stream, 0.01)
    until(lambda: len(camera.results) == 2)
    assert [result.fate for result in camera.results] == [Fate.PASSED_THROUGH] * 2


def test_closing_waits_for_the_image_in_work_and_passes_the_waiting_one_through(
    scheduler, camera, engine
):
    engine.goes_on.clear()
    camera.send(message(0))
    until(engine.entered.is_set)
    camera.send(message(1))
    engine.seconds = 0.0
    engine.goes_on.set()
    assert scheduler.close()
    assert [result.fate for result in camera.results] in (
        [Fate.DERAINED, Fate.PASSED_THROUGH],
        [Fate.DERAINED, Fate.DERAINED],
    )
    assert camera.stamps == [0, 1]
    assert camera.stream.counts.waiting == 0


def test_closing_does_not_wait_for_an_engine_that_hangs(scheduler, camera, engine):
    engine.goes_on.clear()
    camera.send(message(0))
    until(engine.entered.is_set)
    assert not scheduler.close()
    assert not scheduler.is_stopped
    assert [result.reason for result in camera.results] == ['the node stops']
    engine.goes_on.set()
    until(lambda: scheduler.is_stopped)
    assert len(camera.results) == 1


def test_a_closed_scheduler_lets_go_of_an_engine_that_failed_last():
    engine = FakeEngine()
    engine.error = EngineError('broken')
    scheduler = Scheduler(engine)
    camera = Camera(scheduler)
    camera.send(message())
    scheduler.close()
    gone = weakref.ref(engine)
    del engine, scheduler, camera
    gc.collect()
    assert gone() is None


def test_switched_off_images_pass_without_the_engine(camera, engine):
    camera.stream.policy.gate.mode = 'off'
    sent = message()
    camera.send(sent)
    until(lambda: camera.results)
    assert camera.results[0].message is sent
    assert camera.results[0].fate is Fate.BYPASSED
    assert engine.batches == []


def test_the_output_message_is_reused_across_sizes_and_encodings(camera):
    for number, sent in enumerate(
        [message(1), message(2, 40, 30), message(3, encoding='rgb8'), message(4)]
    ):
        camera.send(sent)
        until(lambda number=number: len(camera.results) == number + 1)
        came = camera.results[-1].message
        assert bytes(came.data) == sent.data
        assert (came.height, came.width, came.encoding) == (sent.height, sent.width, sent.encoding)
    assert len({id(result.message) for result in camera.results}) == 1


def test_a_result_that_cannot_be_delivered_does_not_end_the_stream(scheduler):
    camera = Camera(scheduler)

    def fail(result):
        raise RuntimeError('the network is down')

    camera.stream._deliver = fail
    camera.send(message(0))
    until(lambda: camera.count(Fate.DERAINED) == 1)
    camera.send(message(1))
    until(lambda: camera.count(Fate.DERAINED) == 2)


def test_a_result_that_is_not_plausible_is_not_published(camera, engine):
    engine.infer = lambda frames, out, order, timeout: out.fill(0)
    sent = message()
    camera.send(sent)
    until(lambda: camera.results)
    assert camera.results[0].message is sent
    assert 'the result is not plausible' in camera.results[0].reason
    assert np.frombuffer(sent.data, np.uint8).any()
