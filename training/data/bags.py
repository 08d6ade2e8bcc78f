"""
Real rain straight from rosbags (ROS 1; ROS 2 in sqlite3 and MCAP).

A bag is looked through once to find its images; what was found is kept under
``$XDG_CACHE_HOME/derain_ros``, and from then on any frame is a seek away. Of a damaged bag the
readable part is used.
"""

from contextlib import suppress
from io import BytesIO
from pathlib import Path
import warnings

import numpy as np

from derain_ros.cache_directory import locked, WAY_OUT
from derain_ros.errors import DataError, ImageError
from derain_ros.files import write_atomically
from derain_ros.media.bags import BagIndex, BagReader, in_order, index_bag, PLACE
from training.configuration import Bag
from training.data.cache import cache_of

TRIES = 20
# no recording takes a month: stamps that are earlier are those of a clock that was not yet set
LONGEST_S = 30 * 24 * 3600
# of what an index holds; an older one is made again
INDEX_VERSION = 2


class BagFrames:
    """The images of one bag between two moments, each uint8 RGB [H, W, 3]."""

    def __init__(self, bag: Bag, root: Path, smallest: int) -> None:
        """
        Index the bag, or find the index of the last time.

        :param smallest: width and height that the images must have.
        :raises DataError: there is no such bag or topic; nothing in it can be read; the first
            images of a topic cannot be decoded, or are too small; the index cannot be kept.
        """
        self._path = root / bag.path
        if not self._path.exists():
            raise DataError(f'{self._path}: no such bag; paths are relative to --data')
        self._index = kept_index(self._path)
        if not self._index.topics:
            raise DataError(f'{self._path}: has no images; take it out')
        for topic in bag.topics:
            self._index.chosen(topic)
        # of each topic in turn
        topics = [self._index.of(topic) for topic in bag.topics or self._index.topics]
        start_ns = start_of(self._index.places['stamp_ns'])
        self._places = between(self._path, np.concatenate(topics), start_ns, bag)
        self._smallest = smallest
        for first in np.unique(self._places['topic'], return_index=True)[1]:
            if min(self._sound(int(first), 1).shape[:2]) < smallest:
                raise DataError(
                    f'{self._path}: images of {self._topic(int(first))} are smaller than the crop '
                    f'of {smallest}; name other topics, or train on smaller crops'
                )

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> np.ndarray:
        """
        Decode a frame, or, where it is broken or too small, the next one that is not.

        :raises DataError: so many in a row are of no use that it isn't bad luck.
        """
        return self._sound(index, self._smallest)

    def _sound(self, index: int, smallest: int) -> np.ndarray:
        for offset in range(min(TRIES, len(self))):
            which = (index + offset) % len(self)
            stamp_ns = self._places[which]['stamp_ns']
            problem = f'{self._path}: {self._topic(which)} at {stamp_ns} ns '
            try:
                # opened for each, because a file position cannot be shared with a worker's, and a
                # process may hold few files open
                with BagReader(self._index) as reader:
                    frame = reader.read(self._places[which])
            except ImageError as error:
                problem += f'cannot be decoded ({error})'
            else:
                if min(frame.pixels.shape[:2]) >= smallest:
                    return in_order(frame, 'rgb')
                problem += f'is smaller than the crop of {smallest}'
            warnings.warn(problem, stacklevel=3)
        raise DataError(
            f'{problem}, and those after it are of no use either; '
            'name the topics of colour images under real.bags'
        )

    def _topic(self, index: int) -> str:
        return self._index.topics[self._places[index]['topic']]


def start_of(stamps_ns: np.ndarray) -> int:
    """Return when a recording began; the first images may come before the clock was set."""
    return int(stamps_ns[stamps_ns > np.median(stamps_ns) - LONGEST_S * 1e9].min())


def between(path: Path, places: np.ndarray, start_ns: int, bag: Bag) -> np.ndarray:
    """Return the places whose stamps the experiment asks for, in s after the start."""
    seconds = np.maximum(0, places['stamp_ns'] - start_ns) / 1e9
    stop = np.inf if bag.stop is None else bag.stop
    wanted = places[(bag.start <= seconds) & (seconds < stop)]
    if not len(wanted):
        raise DataError(
            f'{path}: has no image from start: {bag.start:g} to stop: {stop:g}; its '
            f'images are at 0 to {seconds.max():.1f} s'
        )
    return wanted


def kept_index(path: Path) -> BagIndex:
    """Look through a bag, or read what was found there the last time."""
    cache = cache_of(path, INDEX_VERSION)
    with locked(cache):  # one process of a machine looks through the bag
        index = _stored_index(path.resolve(), cache / 'index.npz')
        if index is None:
            try:
                index = index_bag(path.resolve(), cache)
                _store(index, cache / 'index.npz')
            except OSError as error:
                raise DataError(
                    f'{cache}: the index of {path} cannot be kept there ({error}); free some '
                    f'space, or {WAY_OUT}'
                ) from error
            if index.problems:
                warnings.warn(
                    f'{path}: damaged ({"; ".join(index.problems)}); going on with the '
                    f'{len(index.places)} images that can be read',
                    stacklevel=3,
                )
    return index


def _stored_index(path: Path, file: Path) -> BagIndex | None:
    """Return the index in a file; None if it is missing or damaged, or what it names is gone."""
    with suppress(Exception), np.load(file) as stored:  # damage shows in many ways
        files, places = [Path(name) for name in stored['files'].tolist()], stored['places']
        if places.dtype == PLACE and all(part.exists() for part in files):
            return BagIndex(path, files, stored['topics'].tolist(), places, [])
    return None


def _store(index: BagIndex, file: Path) -> None:
    table = BytesIO()
    files = [str(part) for part in index.files]
    np.savez(table, files=files, topics=index.topics, places=index.places)
    write_atomically(file, table.getvalue())
