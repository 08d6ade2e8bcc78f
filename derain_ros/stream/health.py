"""What the reports on a stream say: how it fares, what is wrong, how fast it is. No ROS here."""

from collections import deque
from collections.abc import Callable
from enum import IntEnum
import time
from typing import NamedTuple

import numpy as np

from derain_ros.engine.base import Engine
from derain_ros.stream.fates import Counts, Fate, Result
from derain_ros.stream.policy import DRY, SWITCHED_OFF

REPORT_PERIOD_S = 1.0
# Reports over which shares are taken: one late image is no trend.
WINDOW = 5
# Share of replaced or lost images above which a report warns.
LOST_SHARE = 0.1
# Images that pass through, without any that is de-rained, before that is an error.
FAILING_IMAGES = 3
# Reports without an image after which a camera is said to be silent.
SILENT_REPORTS = 3


class Level(IntEnum):
    """How bad it is, as DiagnosticStatus counts."""

    OK = 0
    WARN = 1
    ERROR = 2


class Report(NamedTuple):
    """
    What one report says of one stream.

    :param message: every problem, the worst first; or what the stream does.
    """

    level: Level
    message: str
    values: dict[str, str]

    def with_problem(self, level: Level, problem: str) -> 'Report':
        """Return this report and one problem more."""
        texts = [] if self.level is Level.OK else [self.message]
        texts.insert(0 if level > self.level else len(texts), problem)
        return Report(max(level, self.level), '; '.join(texts), self.values)


class Snapshot(NamedTuple):
    """
    What a report is made of, at one moment.

    :param lost: images that DDS counted as lost on their way to the node, so far.
    :param overdue_s: for how many seconds the engine has been at work beyond a deadline.
    """

    counts: Counts
    lost: int
    overdue_s: float


class Health:
    """
    One activation of a stream, as the reports that come every ``REPORT_PERIOD_S`` show it.

    The scheduler's threads add results while reports take them.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._problems: deque[str] = deque(maxlen=1)
        self._latencies_ms: deque[float] = deque(maxlen=1000)
        self._ages_ms: deque[float] = deque(maxlen=1000)
        self._window: deque[Snapshot] = deque([Snapshot(Counts(), 0, 0.0)], maxlen=WINDOW + 1)
        self._reported_at = clock()
        self._rain: deque[float] = deque(maxlen=1000)
        self._silent, self._failing = 0, 0
        self._last_reason, self._bypass_reason = '', ''

    def add_problem(self, problem: str) -> None:
        """Let the next report say it; of several, the latest."""
        self._problems.append(problem)
        self._last_reason = problem

    def add_result(self, result: Result, age_s: float | None) -> None:
        """
        Count a result that was published, or an image that was looked at.

        :param age_s: seconds from the stamp of its header to now; None if it was not published.
        """
        if result.fate is Fate.DERAINED:
            self._latencies_ms.append(result.latency_s * 1e3)
        # of another fate: not switched off any more, though the window still shows some that were
        self._bypass_reason = result.reason if result.fate is Fate.BYPASSED else ''
        if result.inspection is not None:
            self._rain.append(result.inspection.rain)
        if age_s is not None:
            self._ages_ms.append(age_s * 1e3)

    def note_subscription(self) -> None:
        """Note that the camera is subscribed to anew, and has not been silent before."""
        self._silent = 0

    def report(self, engine: Engine, now: Snapshot, silence: Callable[[float], str]) -> Report:
        """
        Return the report on what came since the last one.

        :param silence: returns why no image has come for so many seconds; empty if none is due.
        """
        before, self._silent = self._window[-1], self._silent + 1
        if now.counts.received > before.counts.received:
            self._silent = 0
        self._count_failing(now.counts.since(before.counts))
        self._window.append(now)
        problems = sorted(self._find_problems(engine, silence), key=lambda one: -one[0])
        values = {
            'engine': engine.name,
            'precision': engine.precision,
            'received': str(now.counts.received),
            **{fate.value: str(count) for fate, count in now.counts.fates.items()},
            'lost_on_the_way': str(now.lost),
            'last_reason': self._last_reason,
            **self._speed(now.counts.since(before.counts)),
        }
        if not problems:
            bypassed = now.counts.since(before.counts).fates[Fate.BYPASSED]
            is_dry = bypassed and self._bypass_reason == DRY
            doing = 'dry: images pass through unchanged' if is_dry else 'de-raining'
            message = doing if now.counts.received else 'waiting for the first image'
            return Report(Level.OK, message, values)
        return Report(problems[0][0], '; '.join(text for _, text in problems), values)

    def _count_failing(self, new: Counts) -> None:
        """Count the images that failed in a row: of a slow camera few come within the window."""
        if new.fates[Fate.DERAINED] or new.fates[Fate.BYPASSED] or self._silent >= SILENT_REPORTS:
            self._failing = 0
        else:
            self._failing += new.fates[Fate.PASSED_THROUGH] + new.fates[Fate.DROPPED]

    def _find_problems(
        self, engine: Engine, silence: Callable[[float], str]
    ) -> list[tuple[Level, str]]:
        now, problems = self._window[-1], []
        recent = now.counts.since(self._window[0].counts)
        latest = self._problems.pop() if self._problems else ''
        failed = recent.fates[Fate.PASSED_THROUGH] + recent.fates[Fate.DROPPED]
        if now.overdue_s > 0:
            busy = f'{engine.name} has been at work on one image {now.overdue_s:.1f} s too long'
            problems.append((Level.ERROR, busy))
        none_derained = failed >= FAILING_IMAGES and not recent.fates[Fate.DERAINED]
        if none_derained or self._failing >= FAILING_IMAGES:
            problems.append((Level.ERROR, f'no image is de-rained: {self._last_reason}'))
        elif latest or self._failing:
            problems.append((Level.WARN, latest or self._last_reason))
        problems += [(Level.WARN, text) for text in self._losses(recent) if text]
        cause = silence(self._silent * REPORT_PERIOD_S) if self._silent >= SILENT_REPORTS else ''
        if cause:
            problems.append((Level.WARN, cause))
        if engine.problem:
            problems.append((Level.WARN, engine.problem))
        if recent.fates[Fate.BYPASSED] and self._bypass_reason == SWITCHED_OFF:
            problems.append((Level.WARN, 'de-raining is switched off'))
        return problems

    def _losses(self, recent: Counts) -> list[str]:
        replaced, lost = recent.fates[Fate.REPLACED], self._window[-1].lost - self._window[0].lost
        texts = []
        if replaced > LOST_SHARE * recent.received:
            texts.append(
                f'{replaced} of {recent.received} images were replaced by newer ones before they '
                'could be de-rained: give smaller images, or a lower rate'
            )
        if lost > LOST_SHARE * (recent.received + lost):
            texts.append(
                f'{lost} of {recent.received + lost} images were lost on their way from the '
                'camera: its process needs the shared-memory profile too (docs/transport.md)'
            )
        return texts

    def _speed(self, new: Counts) -> dict[str, str]:
        now = self._clock()
        seconds, self._reported_at = now - self._reported_at, now
        speed = {
            'received_per_second': f'{new.received / seconds:.1f}',
            'derained_per_second': f'{new.fates[Fate.DERAINED] / seconds:.1f}',
        }
        latencies, ages = list(self._latencies_ms), list(self._ages_ms)
        self._latencies_ms.clear()
        self._ages_ms.clear()
        if latencies:
            median, p95 = np.percentile(latencies, [50, 95])
            speed |= {
                'latency_ms_median': f'{median:.1f}',
                'latency_ms_p95': f'{p95:.1f}',
                'latency_ms_max': f'{max(latencies):.1f}',
            }
        if self._rain:
            speed['rain'] = f'{np.median(self._rain):.3f}'
            self._rain.clear()
        if ages:
            speed['stamp_to_publish_ms_median'] = f'{np.median(ages):.1f}'
        return speed
