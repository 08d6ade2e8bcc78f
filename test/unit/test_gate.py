"""When it is dry enough to pass images through, and how soon rain is noticed."""

from collections.abc import Iterator

from helpers.streams import Camera, FakeEngine, message, until
import numpy as np
import pytest

from derain_ros.errors import DeadlineError
from derain_ros.stream import gate as gate_constants
from derain_ros.stream.fates import Fate, Result
from derain_ros.stream.gate import DRY_FOR_S, Gate, LOOK_EVERY_S
from derain_ros.stream.scheduler import Scheduler

RAIN, DRY = 0.2, 0.0
DRIZZLE = (gate_constants.RAINING + gate_constants.DRY) / 2


def dry_gate() -> Gate:
    gate = Gate('auto')
    assert not gate.note_rain(DRY, 0.0), 'the first image is de-rained'
    assert gate.note_rain(DRY, DRY_FOR_S)
    return gate


def test_in_dry_weather_an_image_now_and_then_is_looked_at():
    gate = dry_gate()
    assert gate.is_closed
    assert not gate.wants_look(DRY_FOR_S + 0.1)
    now = DRY_FOR_S + LOOK_EVERY_S
    assert gate.wants_look(now)
    gate.begin_look(now)
    assert not gate.wants_look(now + 0.1)
    gate.note_rain(DRY, now + 0.2)
    assert gate.is_closed
    assert gate.wants_look(now + LOOK_EVERY_S)


def test_rain_opens_the_gate_at_the_next_look():
    gate = dry_gate()
    assert not gate.note_rain(RAIN, 10.0)
    assert not gate.is_closed


def test_a_short_pause_of_the_rain_does_not_close_it():
    gate = Gate('auto')
    gate.note_rain(RAIN, 0.0)
    assert not gate.note_rain(DRY, DRY_FOR_S - 0.1)
    assert not gate.note_rain(RAIN, DRY_FOR_S)
    assert not gate.note_rain(DRY, 2 * DRY_FOR_S - 0.1)


def test_what_lies_between_the_thresholds_does_not_make_it_flap():
    gate = dry_gate()
    assert gate.note_rain(DRIZZLE, 10.0), 'dry stays dry'
    gate.note_rain(RAIN, 11.0)
    assert not gate.note_rain(DRIZZLE, 11.0 + 2 * DRY_FOR_S), 'and rain stays rain'


def test_it_is_dry_when_the_average_says_so():
    steady, spiky = Gate('auto'), Gate('auto')
    for step in range(41):
        number = gate_constants.DRY * (1.2 if step % 2 else 0.6)
        assert steady.note_rain(number, step / 10) == (step >= 10 * DRY_FOR_S)
        assert not spiky.note_rain(2 * number, step / 10), 'drizzle is not dry'


@pytest.mark.parametrize('mode, closed', [('always', False), ('off', True)])
def test_other_modes_do_not_look_at_the_rain(mode, closed):
    gate = Gate(mode)
    for now in (0.0, 5.0, 10.0):
        gate.note_rain(DRY, now)
        assert gate.is_closed == closed
        assert not gate.wants_look(now + 60)


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def camera(engine, monkeypatch) -> Iterator[Camera]:
    """Return a camera in dry weather, whose next image is looked at."""
    monkeypatch.setattr('derain_ros.stream.gate.DRY_FOR_S', 0.0)
    monkeypatch.setattr('derain_ros.stream.gate.LOOK_EVERY_S', 0.0)
    scheduler = Scheduler(engine)
    camera = Camera(scheduler)
    camera.stream.policy.gate.mode = 'auto'
    camera.send(message())
    until(lambda: camera.stream.in_work is None and camera.stream.policy.gate.is_closed)
    monkeypatch.setattr('derain_ros.stream.gate.DRY_FOR_S', 60.0)
    yield camera
    engine.goes_on.set()
    scheduler.close()


def published(camera: Camera) -> list[Result]:
    return [result for result in camera.results if result.message is not None]


def test_a_dry_image_passes_bit_for_bit_and_costs_no_inference(engine, camera, monkeypatch):
    monkeypatch.setattr('derain_ros.stream.gate.LOOK_EVERY_S', 60.0)
    sent = [message(number) for number in range(1, 5)]
    for one in sent:
        camera.send(one)
    assert [result.message for result in camera.results[1:]] == sent, 'at once'
    assert {result.fate for result in camera.results} == {Fate.BYPASSED}
    assert len(engine.batches) == 1, 'the one that was found dry'


def test_no_image_waits_for_a_look(engine, camera):
    engine.goes_on.clear()
    for number in range(1, 20):
        camera.send(message(number))
    assert camera.stamps == list(range(20)), 'in order, and none is replaced'
    engine.goes_on.set()
    until(lambda: camera.stream.in_work is None and camera.stream.waiting is None)
    assert len(engine.batches) == 2, 'one look at a time'
    looks = [result for result in camera.results if result.message is None]
    assert [look.inspection.rain for look in looks] == [0.0]
    assert camera.stream.counts.received == camera.count(Fate.BYPASSED) == 20


def test_after_a_look_at_rain_images_are_derained_again(engine, camera):
    engine.infer = lambda frames, out, order, timeout: np.copyto(out, darker_on_the_left(frames))
    camera.send(message(1))
    until(lambda: not camera.stream.policy.gate.is_closed)
    camera.send(message(2))
    until(lambda: camera.count(Fate.DERAINED))
    assert [result.fate for result in published(camera)][1:] == [Fate.BYPASSED, Fate.DERAINED]


@pytest.mark.parametrize('error', [RuntimeError('broken'), DeadlineError('late')])
def test_a_look_that_fails_opens_the_gate_so_that_it_shows(engine, camera, error):
    engine.error = error
    camera.send(message(1))
    until(lambda: not camera.stream.policy.gate.is_closed)
    camera.send(message(2))
    until(lambda: camera.count(Fate.PASSED_THROUGH))
    assert camera.results[-1].reason == str(error)


def test_images_stay_in_order_when_the_gate_is_closed_at_work(engine):
    scheduler = Scheduler(engine)
    camera = Camera(scheduler)
    engine.goes_on.clear()
    camera.send(message(1))
    assert engine.entered.wait(20)
    camera.stream.policy.gate.mode = 'off'
    camera.send(message(2))
    assert camera.stamps == []
    engine.goes_on.set()
    until(lambda: len(camera.stamps) == 2)
    camera.send(message(3))
    assert camera.stamps == [1, 2, 3]
    scheduler.close()


def darker_on_the_left(pixels: np.ndarray) -> np.ndarray:
    left = np.arange(pixels.shape[-2]) < pixels.shape[-2] // 2
    return pixels - np.minimum(pixels, 90) * left[:, None].astype(np.uint8)


@pytest.mark.parametrize('most', [0, 16, 64])
def test_no_sample_changes_by_more_than_the_bound(most):
    engine = FakeEngine()
    engine.infer = lambda frames, out, order, timeout: np.copyto(out, darker_on_the_left(frames))
    scheduler = Scheduler(engine)
    camera = Camera(scheduler)
    camera.stream.policy.max_change = most
    sent = message(1)
    camera.send(sent)
    until(lambda: camera.results)
    result = camera.results[0]
    assert result.fate is Fate.DERAINED, result.reason
    before, after = (
        np.frombuffer(image.data, np.uint8).reshape(32, 48, 3).astype(int)
        for image in (sent, result.message)
    )
    assert np.array_equal(after, np.maximum(darker_on_the_left(before), before - most))
    assert result.inference_s > 0
    scheduler.close()
