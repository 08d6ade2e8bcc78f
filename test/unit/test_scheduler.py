"""Several cameras, one engine: who is served, in which batches, and who suffers from whom."""

from collections import Counter
from collections.abc import Callable, Iterator
import random
import time

from helpers.streams import Camera, FakeEngine, Message, message, until
import pytest

from derain_ros.errors import EngineError
from derain_ros.stream.fates import Fate
from derain_ros.stream.scheduler import Scheduler


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def schedule(engine: FakeEngine) -> Iterator[Callable[..., tuple[Scheduler, list[Camera]]]]:
    """Return a scheduler and so many cameras."""
    schedulers = []

    def make(cameras: int, deadline_s: float = 10.0, max_batch: int = 8):
        scheduler = Scheduler(engine, max_batch=max_batch)
        schedulers.append(scheduler)
        return scheduler, [Camera(scheduler, deadline_s) for _ in range(cameras)]

    yield make
    engine.goes_on.set()
    for scheduler in schedulers:
        scheduler.close()


def send_while_busy(engine: FakeEngine, first: Camera, rest: list[tuple[Camera, Message]]) -> None:
    """Let images wait together, behind one of the first camera."""
    engine.goes_on.clear()
    engine.entered.clear()
    first.send(message(0))
    until(engine.entered.is_set)
    for camera, image in rest:
        camera.send(image)
    engine.batches.clear()
    engine.goes_on.set()


@pytest.mark.parametrize('count', [2, 4, 6])
def test_images_of_equal_size_that_wait_together_are_one_batch(schedule, engine, count):
    _, cameras = schedule(count)
    rest = [(camera, message(number)) for number, camera in enumerate(cameras, 1)]
    send_while_busy(engine, cameras[0], rest)
    until(lambda: all(camera.count(Fate.DERAINED) for camera in cameras[1:]))
    until(lambda: cameras[0].count(Fate.DERAINED) == 2)
    assert engine.batches == [((count, 32, 48, 3), 'bgr')]
    for (camera, sent), stamp in zip(rest, range(1, count + 1), strict=True):
        assert camera.stamps[-1] == stamp
        assert bytes(camera.results[-1].message.data) == sent.data


def test_images_of_other_sizes_and_orders_are_not_batched(schedule, engine):
    _, cameras = schedule(4)
    rest = [
        (cameras[0], message(1)),
        (cameras[1], message(2, 40, 48)),
        (cameras[2], message(3, encoding='rgb8')),
        (cameras[3], message(4)),
    ]
    send_while_busy(engine, cameras[0], rest)
    until(lambda: len(engine.batches) == 3)
    assert sorted(engine.batches) == [
        ((1, 32, 48, 3), 'rgb'),
        ((1, 40, 48, 3), 'bgr'),
        ((2, 32, 48, 3), 'bgr'),
    ]


def test_by_default_every_image_is_a_batch(engine):
    scheduler = Scheduler(engine)
    cameras = [Camera(scheduler) for _ in range(3)]
    send_while_busy(engine, cameras[0], [(camera, message(1)) for camera in cameras])
    until(lambda: len(engine.batches) == 3)
    assert {shape[0] for shape, _ in engine.batches} == {1}
    scheduler.close()


@pytest.mark.parametrize('count', [2, 4, 6])
def test_a_dead_and_a_slow_camera_delay_nobody(schedule, engine, count):
    _, cameras = schedule(count)
    slow, quick = cameras[1], cameras[2:] or cameras[:1]  # cameras[0] may be dead
    for number in range(30):
        if number % 15 == 0:
            slow.send(message(number))
        for camera in quick:
            camera.send(message(number))
        until(lambda number=number: all(len(camera.results) > number for camera in quick))
    assert all(camera.count(Fate.DERAINED) == 30 for camera in quick)
    until(lambda: slow.count(Fate.DERAINED) == 2)


def test_overload_is_shared_fairly(schedule, engine):
    _, cameras = schedule(4, max_batch=1)
    engine.seconds = 0.002
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        for number, camera in enumerate(cameras):
            for _ in range(1 + 3 * number):  # the last one sends ten times as much
                camera.send(message(number))
        time.sleep(0.001)
    until(lambda: not any(camera.stream.counts.waiting for camera in cameras))
    served = [camera.count(Fate.DERAINED) for camera in cameras]
    assert min(served) > 0.8 * max(served), served
    assert all(camera.count(Fate.REPLACED) for camera in cameras)


def test_what_is_wrong_with_one_camera_does_not_harm_the_others(schedule, engine):
    _, cameras = schedule(4)
    good = engine.infer

    def infer(frames, out, order, timeout=None):
        if (frames == 255).all(axis=(1, 2, 3)).any():
            raise EngineError('cannot read this one')
        good(frames, out, order, timeout)

    engine.infer = infer
    white = message(9)
    white.data = b'\xff' * len(white.data)
    rest = [(camera, message(number)) for number, camera in enumerate(cameras[:3], 1)]
    send_while_busy(engine, cameras[0], [*rest, (cameras[3], white)])
    until(lambda: all(not camera.stream.counts.waiting for camera in cameras))
    assert [camera.results[-1].fate for camera in cameras] == [Fate.DERAINED] * 3 + [
        Fate.PASSED_THROUGH
    ]
    assert cameras[3].results[-1].reason == 'cannot read this one'


def test_while_the_engine_hangs_on_one_camera_the_others_pass_through(schedule, engine):
    _, cameras = schedule(4, deadline_s=0.05)
    engine.goes_on.clear()
    cameras[0].send(message(0))
    until(engine.entered.is_set)
    for number in range(1, 4):
        for camera in cameras[1:]:
            camera.send(message(number))
        until(lambda number=number: all(len(camera.results) == number for camera in cameras[1:]))
    assert all(camera.count(Fate.PASSED_THROUGH) == 3 for camera in cameras[1:])


def test_counts_add_up_over_random_images_and_failures(schedule, engine):
    rng = random.Random(0)
    _, cameras = schedule(4, deadline_s=0.2)
    errors = [None, None, None, EngineError('now and then'), ValueError('a bug')]
    images = [message(number, *size) for number, size in enumerate([(32, 48), (16, 16)] * 5)]
    images += [Message(32, 48, 'bgr8', 144, data=b'x'), message(encoding='unknown')]
    sent = Counter()
    for number in range(10_000):
        camera = rng.choice(cameras)
        engine.error = rng.choice(errors)
        camera.stream.policy.gate.mode = rng.choice(['always'] * 9 + ['off'])
        camera.send(rng.choice(images))
        sent[camera] += 1
        if number % 50 == 0:
            counts = camera.stream.counts
            assert counts.received == counts.finished + counts.waiting
            assert 0 <= counts.waiting <= 2
            time.sleep(0.001)
    until(lambda: not any(camera.stream.counts.waiting for camera in cameras))
    for camera in cameras:
        counts = camera.stream.counts
        assert counts.received == sent[camera] == sum(counts.fates.values())
        published = Counter(result.fate for result in camera.results)
        assert published == Counter(
            {fate: n for fate, n in counts.fates.items() if n and fate is not Fate.REPLACED}
        )
    assert all(sum(camera.count(fate) for camera in cameras) for fate in Fate)
