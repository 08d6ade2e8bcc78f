"""Messages that cannot be de-rained: what passes through, and what is dropped."""

from collections.abc import Iterator

from helpers.streams import Camera, FakeEngine, Message, message, until
import pytest

from derain_ros.errors import EngineError
from derain_ros.stream.fates import Fate
from derain_ros.stream.scheduler import Scheduler


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def camera(engine: FakeEngine) -> Iterator[Camera]:
    scheduler = Scheduler(engine)
    yield Camera(scheduler)
    scheduler.close()


def test_an_unknown_encoding_passes_through_and_says_why(camera):
    sent = message(encoding='32FC1')
    camera.send(sent)
    until(lambda: camera.results)
    assert camera.results[0].message is sent
    assert "encoding '32FC1' is not one that can be de-rained" in camera.results[0].reason


def test_what_an_encoding_says_cannot_write_lines_into_a_log(camera):
    camera.send(message(encoding='bgr8\n[FATAL] fake \x1b[31m' + 'x' * 100_000))
    until(lambda: camera.results)
    reason = camera.results[0].reason
    assert '\n' not in reason
    assert '\x1b' not in reason
    assert len(reason) < 1000


@pytest.mark.parametrize(
    'broken',
    [
        Message(32, 48, 'bgr8', 144, data=bytes(100)),
        Message(32, 48, 'bgr8', 10, data=bytes(320)),
        Message(0, 0, 'bgr8', 0, data=b''),
        Message(2**32 - 1, 2**32 - 1, 'unknown', 2**32 - 1, data=b'x'),
        Message(480, 640, '32FC1', 640, data=bytes(1000)),
        Message(480, 640, 'unknown', 10, data=bytes(4800)),
    ],
)
def test_an_image_that_contradicts_itself_is_dropped(camera, broken):
    camera.send(broken)
    until(lambda: camera.results)
    assert camera.results[0].fate is Fate.DROPPED
    assert camera.results[0].message is None


def test_an_image_that_contradicts_itself_says_so_though_deraining_is_switched_off(camera):
    camera.stream.policy.gate.mode = 'off'
    camera.send(Message(32, 48, 'bgr8', 144, data=bytes(100)))
    until(lambda: camera.results)
    assert camera.results[0].fate is Fate.DROPPED
    assert '100 bytes of data, but 32 rows with a step of 144 take' in camera.results[0].reason
    assert camera.results[0].reason.startswith('it contradicts itself')


@pytest.mark.parametrize(
    'encoding, channels, rows',
    [('mono8', 1, 32), ('nv12', 1, 48), ('yuv422', 2, 32), ('rgb16', 6, 32), ('bgra8', 4, 32)],
)
def test_every_layout_passes_through_and_what_is_cut_is_dropped(
    camera, engine, encoding, channels, rows
):
    engine.error = EngineError('broken')
    whole = Message(32, 48, encoding, 48 * channels, data=bytes(48 * channels * rows))
    cut = Message(32, 48, encoding, 48 * channels, data=bytes(48 * channels * rows - 1))
    camera.send(whole)
    until(lambda: len(camera.results) == 1)
    camera.send(cut)
    until(lambda: len(camera.results) == 2)
    assert [result.message for result in camera.results] == [whole, None]
