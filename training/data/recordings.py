"""Stills of recordings: read through once, from then on found in the user's cache."""

from collections.abc import Iterator
from io import BytesIO
from itertools import islice
from pathlib import Path
import warnings

import numpy as np

from derain_ros.cache_directory import locked
from derain_ros.errors import DataError, ImageError
from derain_ros.files import write_atomically
from derain_ros.media.bags import BagIndex, BagReader, in_order
from derain_ros.media.images import VIDEO_SUFFIXES
from derain_ros.media.videos import video_facts, video_frames
from training.configuration import StillRecording
from training.data import stills, stretches
from training.data.bags import between, kept_index, start_of
from training.data.cache import cache_of
from training.data.stills import Still
from training.data.stretches import find_stills

ARRAYS = ('frames', 'median', 'static', 'rain_only', 'halves')


def read_stills(recording: StillRecording, root: Path) -> list[Still]:
    """
    Return the stills of a video or bag but those rejected; the search is made once.

    :param root: folder that the path of the recording is relative to.
    :raises DataError: the recording is missing or unreadable, the camera never stands still, or
        a number to reject is none.
    """
    path = root / recording.path
    if not path.exists():
        raise DataError(f'{path}: no such video or bag; paths are relative to --data')
    found = _cached(path, recording)
    unknown = [number for number in recording.reject if number not in range(len(found))]
    if unknown:
        raise DataError(
            f'{path}: reject: there is no still {unknown[0]}; find_stills.py lists '
            f'{len(found)}, from 0'
        )
    kept = [still for number, still in enumerate(found) if number not in recording.reject]
    if not kept:
        raise DataError(
            f'{path}: the camera stands still nowhere for {stills.WINDOW} frames, or all such '
            'places are rejected; take it out'
        )
    return kept


def _cached(path: Path, recording: StillRecording) -> list[Still]:
    constants = [
        (name, value)
        for module in (stills, stretches)
        for name, value in vars(module).items()
        if name.isupper()
    ]
    part = (recording.topics, recording.start, recording.stop)
    cache = cache_of(path, (constants, part))
    with locked(cache):  # one process of a machine looks through the recording
        if not (cache / 'complete').exists():
            for number, still in enumerate(_find(path, recording)):
                write_atomically(cache / f'{number:04}.npz', _packed(still))
            write_atomically(cache / 'complete', b'')
        return [_unpacked(file) for file in sorted(cache.glob('*.npz'))]


def _packed(still: Still) -> bytes:
    table = BytesIO()
    arrays = {name: getattr(still, name) for name in ARRAYS}
    np.savez_compressed(table, name=still.name, **arrays)
    return table.getvalue()


def _unpacked(file: Path) -> Still:
    with np.load(file) as stored:
        return Still(
            name=str(stored['name']),
            **{name: stored[name] for name in ARRAYS},
        )


def _find(path: Path, recording: StillRecording) -> Iterator[Still]:
    if path.suffix.lower() in VIDEO_SUFFIXES:
        yield from find_stills(path.name, _of_video(path, recording))
        return
    index = kept_index(path)
    if not index.topics:
        raise DataError(f'{path}: has no images; take it out')
    for topic in recording.topics or index.topics:
        places = index.of(index.chosen(topic))
        yield from find_stills(f'{path.name} {topic}', _of_bag(index, places, recording))


def _of_video(path: Path, recording: StillRecording) -> Iterator[tuple[float, np.ndarray]]:
    rate_hz = video_facts(path).rate_hz or 1.0
    stop = None if recording.stop is None else round(recording.stop * rate_hz)
    frames = enumerate(video_frames(path))
    for number, frame in islice(frames, round(recording.start * rate_hz), stop):
        yield number / rate_hz, frame


def _of_bag(
    index: BagIndex, places: np.ndarray, recording: StillRecording
) -> Iterator[tuple[float, np.ndarray]]:
    start_ns = start_of(index.places['stamp_ns'])
    with BagReader(index) as reader:
        for place in between(index.path, places, start_ns, recording):
            try:
                frame = in_order(reader.read(place), 'rgb')
            except ImageError as error:
                warnings.warn(f'{index.path}: at {place["stamp_ns"]} ns: {error}', stacklevel=2)
            else:
                yield (place['stamp_ns'] - start_ns) / 1e9, frame
