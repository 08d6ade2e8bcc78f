"""What the reports say, and what is said first. No ROS."""

import pytest

from derain_ros.stream.health import Health
from derain_ros.stream.pipeline import Counts


class Engine:
    """An engine to report on; nobody runs it."""

    name, precision, problem = 'openvino', 'bfloat16', ''


class Clock:
    """A clock that goes when told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def engine() -> Engine:
    return Engine()


def problems(health: Health, engine: Engine, *counts: Counts) -> list[str]:
    """Report on each of the counts in turn."""
    return [
        health.report(engine, count, lambda seconds: f'nothing for {seconds:.0f} s')[0]
        for count in counts
    ]


def test_rate_and_latencies_are_of_the_time_since_the_last_report(engine):
    clock = Clock()
    health = Health(clock)
    for latency in (0.010, 0.030, 0.011):
        health.add_latency(latency)
    clock.now += 2

    problem, values = health.report(
        engine, Counts(received=5, derained=3, replaced=1, passed_through=1), str
    )

    assert problem == ''
    assert values == {
        'engine': 'openvino',
        'precision': 'bfloat16',
        'received': 5,
        'derained': 3,
        'replaced': 1,
        'passed_through': 1,
        'dropped': 0,
        'derained_per_second': '1.5',
        'latency_ms_median': '11.0',
        'latency_ms_max': '30.0',
    }
    clock.now += 4
    _, values = health.report(engine, Counts(received=9, derained=7), str)
    assert values['derained_per_second'] == '1.0'
    assert 'latency_ms_median' not in values


def test_a_camera_is_silent_from_the_third_report_on_until_it_speaks(engine):
    quiet, speaking = Counts(received=1, derained=1), Counts(received=2, derained=2)
    assert problems(Health(), engine, quiet, quiet, quiet, quiet, quiet, speaking, speaking) == [
        '',
        '',
        '',
        'nothing for 3 s',
        'nothing for 4 s',
        '',
        '',
    ]


@pytest.mark.parametrize('fate', ['derained', 'replaced', 'passed_through', 'dropped'])
def test_silence_is_silence_whatever_became_of_the_last_image(engine, fate):
    counts = Counts(**{'received': 2, 'derained': 1} | {fate: 1 + (fate == 'derained')})
    assert problems(Health(), engine, *[counts] * 4)[-1] == 'nothing for 3 s'


def test_an_engine_is_stuck_where_one_image_stays_in_work(engine):
    busy = [Counts(received=3 + count, derained=2) for count in range(3)]
    assert problems(Health(), engine, *busy, Counts(received=5, derained=3, replaced=2)) == [
        '',
        '',
        'openvino has been at work on an image for 2 s',
        '',
    ]


def test_an_engine_that_is_slow_is_not_stuck(engine):
    slow = [
        Counts(received=30 * second, derained=second, replaced=29 * second - 1)
        for second in range(1, 6)
    ]
    assert problems(Health(), engine, *slow) == [''] * 5


def test_the_latest_problem_of_an_image_is_said_once_and_first(engine):
    health, still = Health(), Counts(received=1)
    engine.problem = 'on openvino, TensorRT again in 10 s'
    problems(health, engine, still, still)
    health.add_problem('image dropped: it is empty')
    health.add_problem('image passed through unchanged: it is late')
    assert problems(health, engine, still, still) == [
        'image passed through unchanged: it is late',
        'openvino has been at work on an image for 4 s',
    ]


def test_silence_comes_before_the_problem_of_an_engine_that_has_nothing_to_do(engine):
    engine.problem = 'on openvino, TensorRT again in 10 s'
    assert problems(Health(), engine, *[Counts()] * 3) == [
        engine.problem,
        engine.problem,
        'nothing for 3 s',
    ]
