"""What the reports of the node say: what is wrong, and how fast it is. No ROS here."""

from collections import deque
from collections.abc import Callable
import statistics
import time

from derain_ros.engine.base import Engine
from derain_ros.stream.pipeline import Counts

REPORT_PERIOD = 1.0
# reports without an image after which a camera is said to be silent
SILENT_REPORTS = 3
# reports with an image in work and none finished after which the engine is said to be stuck
STUCK_REPORTS = 2


class Health:
    """
    One activation of the node, as the reports that come every ``REPORT_PERIOD`` show it.

    The worker adds problems and latencies while reports take them.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._problems: deque[str] = deque(maxlen=1)
        self._latencies: deque[float] = deque(maxlen=1000)
        self._last, self._reported = Counts(), clock()
        self._silent = self._stuck = 0

    def add_problem(self, problem: str) -> None:
        """Have the next report say what became of an image; it says the latest alone."""
        self._problems.append(problem)

    def add_latency(self, seconds: float) -> None:
        """Count an image that was de-rained and published."""
        self._latencies.append(seconds)

    def report(
        self, engine: Engine, counts: Counts, silence: Callable[[float], str]
    ) -> tuple[str, dict[str, object]]:
        """
        Give the most urgent problem, '' where all is well; and the values to show beside it.

        :param counts: of the images of this activation until now.
        :param silence: what to say where no image has come for so many seconds.
        """
        problem = self._problem(engine, counts, silence)
        values = {
            'engine': engine.name,
            'precision': engine.precision,
            **vars(counts),
            **self._speed(counts),
        }
        self._last = counts
        return problem, values

    def _problem(self, engine: Engine, counts: Counts, silence: Callable[[float], str]) -> str:
        self._silent = 0 if counts.received > self._last.received else self._silent + 1
        in_work = counts.received > counts.finished + counts.replaced
        self._stuck = self._stuck + 1 if in_work and counts.finished == self._last.finished else 0
        if self._problems:
            return self._problems.pop()
        if self._stuck >= STUCK_REPORTS:
            return (
                f'{engine.name} has been at work on an image for '
                f'{self._stuck * REPORT_PERIOD:.0f} s'
            )
        if self._silent >= SILENT_REPORTS:
            return silence(self._silent * REPORT_PERIOD)
        return engine.problem

    def _speed(self, counts: Counts) -> dict[str, str]:
        latencies, now = list(self._latencies), self._clock()
        self._latencies.clear()
        rate = (counts.derained - self._last.derained) / (now - self._reported)
        self._reported = now
        speed = {'derained_per_second': f'{rate:.1f}'}
        if latencies:
            speed |= {
                'latency_ms_median': f'{statistics.median(latencies) * 1e3:.1f}',
                'latency_ms_max': f'{max(latencies) * 1e3:.1f}',
            }
        return speed
