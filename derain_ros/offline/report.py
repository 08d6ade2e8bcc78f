"""What came of a run: frames and their fates, problems, and how fast it was."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
import platform
from typing import Any

import numpy as np

import derain_ros
from derain_ros import Derainer
from derain_ros.offline.job import Job, Pair
from derain_ros.offline.showcase import Showcase
from derain_ros.stream.fates import Fate

VERSIONS = ('numpy', 'openvino', 'av', 'pillow')


@dataclass
class Stream:
    """
    The frames of one image, video or topic.

    :param times_s: of the de-rained frames, from the first frame on.
    :param rain: share of the pixels of each that lost a streak, 0 to 1.
    :param reasons: why frames were passed through, and how many for each reason.
    :param showcase: what the page shows of it, where there is to be one.
    """

    name: str
    fates: dict[Fate, int] = field(default_factory=dict)
    times_s: list[float] = field(default_factory=list)
    rain: list[float] = field(default_factory=list)
    reasons: dict[str, int] = field(default_factory=dict)
    showcase: Showcase | None = None

    @property
    def frames(self) -> int:
        """How many frames had a fate."""
        return sum(self.fates.values())

    def add_derained(self, time_s: float, pair: Pair) -> None:
        self.fates[Fate.DERAINED] = self.fates.get(Fate.DERAINED, 0) + 1
        self.times_s.append(time_s)
        self.rain.append(pair.rain)
        if self.showcase is not None:
            self.showcase.add(time_s, pair)

    def add_passed_through(self, reason: str) -> None:
        self.fates[Fate.PASSED_THROUGH] = self.fates.get(Fate.PASSED_THROUGH, 0) + 1
        self.reasons[reason] = self.reasons.get(reason, 0) + 1

    def problems(self, source: Path) -> list[str]:
        """Return in a line which frames were not de-rained; nothing if all were."""
        failed = sum(self.reasons.values())
        if not failed:
            return []
        first = next(iter(self.reasons))
        name = f'{source}' if source.name == self.name else f'{source}: {self.name}'
        return [f'{name}: {failed} of {self.frames} frames are left as they were: {first}']

    def to_json(self) -> dict[str, Any]:
        return {
            'name': self.name,
            'frames': self.frames,
            'fates': {fate.value: count for fate, count in self.fates.items()},
            'rain': round(float(np.mean(self.rain)), 4) if self.rain else None,
            'reasons': self.reasons,
        }


@dataclass
class Outcome:
    """
    What came of one input.

    :param problems: what is wrong with it; empty if all went well.
    :param notes: what else is to be known.
    """

    source: str
    target: str
    streams: list[Stream] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def frames(self) -> int:
        """How many frames had a fate."""
        return sum(stream.frames for stream in self.streams)

    def to_json(self) -> dict[str, Any]:
        return {
            'input': self.source,
            'output': self.target,
            'problems': self.problems,
            'notes': self.notes,
            'seconds': round(self.seconds, 3),
            'streams': [stream.to_json() for stream in self.streams],
        }


def begun(source: Path, target: Path, names: Iterable[str], job: Job) -> Outcome:
    """Return the outcome of an input that is about to be de-rained, with its streams."""
    streams = [Stream(name) for name in names]
    if job.shows:
        for stream in streams:
            of_file = stream.name == source.name
            stream.showcase = Showcase(stream.name if of_file else f'{source.name} {stream.name}')
    return Outcome(str(source), str(target), streams)


def failed(source: Path, target: Path, error: Exception) -> Outcome:
    """Return the outcome of an input of which nothing is written, named with the reason."""
    text = str(error) or type(error).__name__
    problem = text if str(source) in text else f'{source}: {text}'
    return Outcome(str(source), str(target), problems=[problem])


def summary(
    outcomes: list[Outcome], skipped: int, seconds: float, derain: Derainer
) -> dict[str, Any]:
    """Return the report of a run, as it is written to JSON."""
    fates = dict.fromkeys((Fate.DERAINED, Fate.PASSED_THROUGH), 0)
    for outcome in outcomes:
        for stream in outcome.streams:
            for fate, count in stream.fates.items():
                fates[fate] += count
    frames = sum(fates.values())
    return {
        'inputs': len(outcomes),
        'failed': sum(bool(outcome.problems) for outcome in outcomes),
        'already_there': skipped,
        'frames': frames,
        'fates': {fate.value: count for fate, count in fates.items()},
        'seconds': round(seconds, 3),
        'frames_per_second': round(frames / seconds, 2) if seconds else None,
        'model': derain.model,
        'engine': derain.engine,
        'precision': derain.precision,
        'versions': versions(),
        'results': [outcome.to_json() for outcome in outcomes],
    }


def versions() -> dict[str, str]:
    """Return the versions of what a result depends on."""
    return {
        'derain_ros': derain_ros.__version__,
        'python': platform.python_version(),
        **{name: version(name) for name in VERSIONS},
    }
