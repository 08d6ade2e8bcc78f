"""What a worker of a fleet does: one input, from its file to its result."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
import platform
import time
from typing import Any, Literal

from derain_ros import Derainer
from derain_ros.offline.items import find_items, have_many_sizes
from derain_ros.offline.job import Job
from derain_ros.offline.run import derain_items

State = Literal['done', 'already there', 'failed']


@dataclass(frozen=True)
class Options:
    """How all inputs of a fleet are de-rained; see the options of ``derain``."""

    model: str
    engine: str
    jobs: int
    quality: int | None
    topics: tuple[str, ...]
    beside: bool


@dataclass
class Result:
    """
    What came of one input.

    :param state: ``failed`` where a result is missing.
    :param problems: what is wrong, each with the name of the input.
    :param streams: of each image, video or topic, as ``derain`` reports them.
    :param machine: where it was de-rained, and on which engine, in which precision.
    """

    input: str
    output: str
    state: State
    tries: int = 1
    frames: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)
    streams: list[dict[str, Any]] = field(default_factory=list)
    machine: str = ''

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def derain_input(source: str, target: str, options: Options) -> Result:
    """
    De-rain an input, as far as its results are not there yet.

    :param source: image, video, recording, or a folder of them.
    :raises DerainError: it cannot be read, or the engine does not start.
    """
    items = find_items(Path(source), Path(target))
    todo = [item for item in items if not item.target.exists()]
    if not todo:
        return Result(source, target, 'already there')
    derain = _derainer(options.model, options.engine, have_many_sizes(todo))
    start = time.monotonic()
    job = Job(derain, options.jobs, options.quality, options.topics, options.beside)
    result = Result(source, target, 'done')
    for outcome in derain_items(todo, job):
        result.frames += outcome.frames
        result.problems += outcome.problems
        result.streams += [stream.to_json() for stream in outcome.streams]
    if not all(item.target.exists() for item in todo):
        result.state = 'failed'
    result.seconds = round(time.monotonic() - start, 3)
    result.machine = f'{platform.node()} ({derain.engine}, {derain.precision})'
    return result


@cache
def _derainer(model: str, engine: str, any_size: bool) -> Derainer:
    """Return the engine of this process, which is kept from one input to the next."""
    return Derainer(model, engine=engine, any_size=any_size)
