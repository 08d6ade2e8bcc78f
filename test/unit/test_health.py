"""What the reports say, how bad it is, and what is said first. No ROS."""

import pytest

from derain_ros.stream.fates import Counts, Fate, Result
from derain_ros.stream.health import Health, Level, Report, Snapshot
from derain_ros.stream.policy import DRY, SWITCHED_OFF


class Engine:
    """An engine to report on; nobody runs it."""

    name, precision, problem = 'openvino', 'bfloat16', ''


class Clock:
    """A clock that goes when told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Stream:
    """A stream whose counts a test sets, reported on once a second."""

    def __init__(self) -> None:
        self.clock, self.engine = Clock(), Engine()
        self.health = Health(self.clock)
        self.counts, self.lost, self.overdue_s = Counts(), 0, 0.0

    def add(self, received: int = 0, **fates: int) -> None:
        known = {**self.counts.fates}
        for name, count in fates.items():
            known[Fate(name)] += count
        self.counts = Counts(self.counts.received + received, known)

    def report(self) -> Report:
        self.clock.now += 1.0
        now = Snapshot(self.counts, self.lost, self.overdue_s)
        return self.health.report(self.engine, now, lambda seconds: f'silent for {seconds:.0f} s')


@pytest.fixture
def stream() -> Stream:
    return Stream()


def test_before_the_first_image_a_report_does_not_say_that_images_are_derained(stream):
    assert stream.report()[:2] == (Level.OK, 'waiting for the first image')
    stream.add(received=1, derained=1)
    assert stream.report()[:2] == (Level.OK, 'de-raining')


def test_one_problem_more_does_not_hide_the_others():
    fine = Report(Level.OK, 'de-raining', {})
    warning = fine.with_problem(Level.WARN, 'small /dev/shm')
    assert warning == (Level.WARN, 'small /dev/shm', {})
    worse = warning.with_problem(Level.ERROR, 'images circle')
    assert worse == (Level.ERROR, 'images circle; small /dev/shm', {})
    assert worse.with_problem(Level.WARN, 'late').message.endswith('; late')


def test_a_report_has_every_fate_rates_and_latencies(stream):
    for latency_s in (0.010, 0.030, 0.011):
        stream.health.add_result(Result(Fate.DERAINED, object(), '', latency_s), age_s=0.1)
    stream.add(received=5, derained=4, replaced=1)
    stream.add(received=20, derained=20)
    level, message, values = stream.report()
    assert (level, message) == (Level.OK, 'de-raining')
    assert values == {
        'engine': 'openvino',
        'precision': 'bfloat16',
        'received': '25',
        'derained': '24',
        'passed_through': '0',
        'bypassed': '0',
        'replaced': '1',
        'dropped': '0',
        'lost_on_the_way': '0',
        'last_reason': '',
        'received_per_second': '25.0',
        'derained_per_second': '24.0',
        'latency_ms_median': '11.0',
        'latency_ms_p95': '28.1',
        'latency_ms_max': '30.0',
        'stamp_to_publish_ms_median': '100.0',
    }
    assert 'latency_ms_max' not in stream.report().values, 'of the time since the last report'


def test_four_of_five_images_lost_is_a_warning(stream):
    for _ in range(5):
        stream.add(received=10, derained=2, replaced=8)
        report = stream.report()
    assert report.level is Level.WARN
    assert '40 of 50 images were replaced by newer ones' in report.message


def test_a_few_replaced_images_are_no_warning(stream):
    for _ in range(5):
        stream.add(received=30, derained=28, replaced=2)
        assert stream.report().level is Level.OK


def test_images_lost_on_their_way_are_a_warning_that_names_the_cause(stream):
    stream.add(received=10, derained=10)
    stream.lost = 20
    report = stream.report()
    assert report.level is Level.WARN
    assert '20 of 30 images were lost on their way' in report.message
    assert 'shared-memory profile' in report.message


def test_one_image_that_passes_through_is_a_warning_with_its_reason(stream):
    stream.health.add_problem('image passed through unchanged: late')
    stream.add(received=10, derained=9, passed_through=1)
    report = stream.report()
    assert (report.level, report.message) == (Level.WARN, 'image passed through unchanged: late')
    stream.add(received=10, derained=10)
    report = stream.report()
    assert (report.level, report.message) == (Level.OK, 'de-raining')
    assert report.values['last_reason'] == 'image passed through unchanged: late'


@pytest.mark.parametrize('fate', ['passed_through', 'dropped'])
def test_no_image_derained_is_an_error(stream, fate):
    stream.health.add_problem('out of memory')
    stream.add(received=10, **{fate: 10})
    report = stream.report()
    assert report.level is Level.ERROR
    assert report.message == 'no image is de-rained: out of memory'


@pytest.mark.parametrize('seconds_between', [2, 3, 5])
def test_a_slow_camera_of_which_no_image_is_derained_is_never_ok(stream, seconds_between):
    for second in range(15):
        if second % seconds_between == 0:
            stream.health.add_problem('out of memory')
            stream.add(received=1, passed_through=1)
        assert stream.report().level is not Level.OK


def test_a_slow_camera_is_ok_once_an_image_is_derained(stream):
    stream.health.add_problem('out of memory')
    stream.add(received=1, passed_through=1)
    levels = [stream.report().level for _ in range(2)]
    stream.add(received=1, derained=1)
    assert [*levels, stream.report().level] == [Level.WARN, Level.WARN, Level.OK]


def test_an_engine_that_hangs_is_an_error(stream):
    stream.overdue_s = 3.2
    stream.add(received=1)
    report = stream.report()
    assert report.level is Level.ERROR
    assert report.message == 'openvino has been at work on one image 3.2 s too long'


def test_a_camera_is_silent_from_the_third_report_on_until_it_speaks(stream):
    assert [stream.report().message for _ in range(4)] == [
        'waiting for the first image',
        'waiting for the first image',
        'silent for 3 s',
        'silent for 4 s',
    ]
    stream.add(received=1, derained=1)
    assert stream.report().level is Level.OK


def test_what_keeps_the_engine_from_the_gpu_is_a_warning(stream):
    stream.engine.problem = 'on openvino, TensorRT again in 10 s: out of memory'
    report = stream.report()
    assert (report.level, report.message) == (Level.WARN, stream.engine.problem)


def test_switched_off_is_not_ok_until_an_image_is_derained_again(stream):
    stream.health.add_result(Result(Fate.BYPASSED, object(), SWITCHED_OFF, 0.001), age_s=0.1)
    stream.add(received=10, bypassed=10)
    report = stream.report()
    assert (report.level, report.message) == (Level.WARN, 'de-raining is switched off')
    stream.health.add_result(Result(Fate.DERAINED, object(), '', 0.01), age_s=0.1)
    stream.add(received=10, derained=5, bypassed=5)
    report = stream.report()
    assert (report.level, report.message) == (Level.OK, 'de-raining'), 'and not that it is dry'


def test_dry_weather_is_ok(stream):
    stream.health.add_result(Result(Fate.BYPASSED, object(), DRY, 0.001), age_s=0.1)
    stream.add(received=10, bypassed=10)
    report = stream.report()
    assert (report.level, report.message) == (Level.OK, 'dry: images pass through unchanged')


def test_several_problems_are_all_said_the_worst_first(stream):
    stream.engine.problem = 'on openvino'
    stream.overdue_s = 2.0
    report = stream.report()
    assert report.level is Level.ERROR
    assert report.message == 'openvino has been at work on one image 2.0 s too long; on openvino'


def test_counts_add_up():
    counts = Counts().with_received().with_received().with_fate(Fate.REPLACED)
    assert (counts.received, counts.finished, counts.waiting) == (2, 1, 1)
    later = counts.with_received().with_fate(Fate.DERAINED)
    assert later.since(counts) == Counts(1, {**Counts().fates, Fate.DERAINED: 1})
