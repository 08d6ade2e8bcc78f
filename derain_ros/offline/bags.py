"""
Recordings: every image of the chosen topics de-rained, everything else as it was.

A recording is read and written once, record by record; only what was compressed as a whole takes
disk space for a copy. The result is written in ``NAME.partial``, and gets its name when it is
whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
import shutil

import zstandard

from derain_ros.errors import DataError
from derain_ros.media.bags import BagIndex, index_bag
from derain_ros.media.recordings import storage_files
from derain_ros.media.storage.mcap import MAGIC as MCAP_MAGIC
from derain_ros.media.storage.ros1 import MAGIC as ROS1_MAGIC
from derain_ros.media.storage.sqlite3 import MAGIC as SQLITE3_MAGIC
from derain_ros.offline.formats import mcap, ros1, sqlite3
from derain_ros.offline.formats.base import Advance, DERAINED_KINDS, Rewriting
from derain_ros.offline.job import Job
from derain_ros.offline.messages import Topics
from derain_ros.offline.metadata import with_topics_beside
from derain_ros.offline.report import begun, Outcome

FORMATS: dict[bytes, Callable[[Path, Path, Rewriting, Advance], None]] = {
    MCAP_MAGIC: mcap.rewrite,
    SQLITE3_MAGIC: sqlite3.rewrite,
    ROS1_MAGIC: ros1.rewrite,
}
METADATA = 'metadata.yaml'


def derain_bag(source: Path, target: Path, job: Job) -> Outcome:
    """
    De-rain a recording, a file or the folder of one.

    :raises DataError: it is damaged, or has no such topic of images.
    :raises OSError: the disk is full or out of order.
    """
    with _workplace(target) as (result, scratch):
        index = index_bag(source, scratch, DERAINED_KINDS)
        if index.problems:
            raise DataError(
                f'{source}: {"; ".join(index.problems)}; make it whole first, with ros2 bag '
                'convert, mcap recover or rosbag reindex'
            )
        chosen = [index.chosen(topic) for topic in job.topics] or index.topics
        if not chosen:
            index.chosen(None)
        names = {topic: _beside(topic) if job.beside else topic for topic in chosen}
        _check_names(source, names, index)
        outcome = begun(source, target, chosen, job)
        metadata = partial(with_topics_beside, names=names, counts=_counts(index))
        rewriting = Rewriting(names, Topics(job, outcome).derain, metadata)
        _write(index, result, rewriting, job)
        if (source / METADATA).exists():
            text = (source / METADATA).read_bytes().decode()
            (result / METADATA).write_bytes(metadata(text).encode())
    outcome.problems += [line for stream in outcome.streams for line in stream.problems(source)]
    return outcome


@contextmanager
def _workplace(target: Path) -> Iterator[tuple[Path, Path]]:
    """Lend the place of a result, which gets its name at the end, and one for scratch files."""
    place = target.with_name(f'{target.name}.partial')
    shutil.rmtree(place, ignore_errors=True)  # of a run that was killed
    scratch, result = place / 'scratch', place / target.name
    scratch.mkdir(parents=True)
    try:
        yield result, scratch
        if target.is_dir():
            shutil.rmtree(target)  # to be overwritten
        result.replace(target)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _write(index: BagIndex, result: Path, rewriting: Rewriting, job: Job) -> None:
    """Write all files of a recording."""
    parts, _ = storage_files(index.path)
    total = sum(file.stat().st_size for file in index.files)
    for part, file in zip(parts, index.files):
        inside = index.path.is_dir()
        target = result / part.relative_to(index.path) if inside else result
        target.parent.mkdir(parents=True, exist_ok=True)
        with file.open('rb') as start:
            magic = start.read(16)
        rewrite = next(write for begin, write in FORMATS.items() if magic.startswith(begin))
        rewrite(file, target, rewriting, lambda size_bytes: job.advance(size_bytes / total))
        if file != part:
            _compress(target)


def _counts(index: BagIndex) -> dict[str, dict[str, int]]:
    """Return how many images of each topic there are, by name of the file."""
    parts, _ = storage_files(index.path)
    return {
        part.name: {
            topic: int((index.of(topic)['file'] == number).sum()) for topic in index.topics
        }
        for number, part in enumerate(parts)
    }


def _compress(file: Path) -> None:
    """Compress a file as rosbag2 does, in its place."""
    plain = file.with_name(f'{file.name}.plain')
    file.replace(plain)
    with plain.open('rb') as source, file.open('wb') as target:
        zstandard.ZstdCompressor().copy_stream(source, target, size=plain.stat().st_size)
    plain.unlink()


def _beside(topic: str) -> str:
    """Return where the node publishes the result of a topic by default."""
    base = topic.removesuffix('/compressed').removesuffix('/ffmpeg')
    return f'{base.rpartition("/")[0]}/image_derained{topic.removeprefix(base)}'


def _check_names(source: Path, names: dict[str, str], index: BagIndex) -> None:
    """Raise a DataError unless each de-rained topic has a name of its own."""
    for topic, name in names.items():
        rivals = [other for other in index.topics if other != topic and names.get(other) == name]
        if rivals or (name != topic and name in index.topics):
            raise DataError(
                f'{source}: {topic} cannot stand beside as {name}, which is '
                f'{" and ".join(rivals) or "there"} too; choose with --topics'
            )
