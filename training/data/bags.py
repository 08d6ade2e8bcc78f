"""
Real rain straight from rosbags (ROS 1; ROS 2 in sqlite3 and MCAP), and from photographs.

A bag is read through once to find its images; what was found is kept under
``$XDG_CACHE_HOME/derain_ros``, and from then on any frame is a seek away. Of a damaged bag the
readable part is used.
"""

import atexit
from collections import OrderedDict
import fcntl
from hashlib import sha256
from io import BytesIO
import os
from pathlib import Path
import warnings

import numpy as np
from rosbags.highlevel import AnyReader, AnyReaderError
from rosbags.interfaces import Connection

from derain_ros.engine.tensorrt.cache import default_directory
from derain_ros.errors import DataError, ImageError
from derain_ros.files import write_atomically
from derain_ros.media.bags import bag_reader, IMAGE_TYPES, read_message
from derain_ros.media.images import image_files, read_image
from derain_ros.media.salvage import SALVAGE, salvage
from training.configuration import Bag
from training.data.pairs import number

TRIES = 20
# a process may hold 1024 files as a rule, and a bag may have many
OPEN_BAGS = 64
_readers: OrderedDict[tuple, AnyReader] = OrderedDict()


class Photographs:
    """The images of a folder, each uint8 RGB [H, W, 3], decoded when asked for."""

    def __init__(self, folder: Path, smallest: int, held_out: range) -> None:
        """
        Read every file once, so that a broken one is named now and not hours later.

        :param smallest: width and height that each must have.
        :param held_out: files of these numbers are left out, as the pairs of these numbers are.
        :raises DataError: the folder is missing or empty, or all of it held out; an image is
            broken or too small.
        """
        self._paths = [path for path in image_files(folder) if number(path) not in held_out]
        if not self._paths:
            raise DataError(
                f'{folder}: every file is numbered within validation; rename or add '
                'some, or change validation'
            )
        for path in self._paths:
            if min(read_image(path).shape[:2]) < smallest:
                raise DataError(
                    f'{path}: smaller than the crop of {smallest}; take it out, or '
                    'train on smaller crops'
                )

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> np.ndarray:
        return read_image(self._paths[index])


class BagFrames:
    """The images of one bag between two moments, each uint8 RGB [H, W, 3]."""

    def __init__(self, bag: Bag, root: Path, smallest: int) -> None:
        """
        Index the bag, or find the index of the last time.

        :param smallest: width and height that the images must have.
        :raises DataError: there is no such bag or topic; nothing in it can be read; the first
            images of a topic cannot be decoded, or are too small.
        """
        self._path = root / bag.path
        if not self._path.exists():
            raise DataError(f'{self._path}: no such bag; paths are relative to --data')
        self._files, times = _index(self._path)
        unknown = set(bag.topics) - times.keys()
        if not times:
            raise DataError(f'{self._path}: has no images; take it out')
        if unknown:
            raise DataError(
                f'{self._path}: has no image topic {", ".join(sorted(unknown))}; '
                f'it has: {", ".join(sorted(times))}'
            )
        self._times, self._smallest = _between(self._path, times, bag), smallest
        # of each topic in turn; arrays, because a list of millions of tuples takes gigabytes
        self._ends = np.cumsum([len(moments) for moments in self._times.values()])
        for topic, end in zip(self._times, self._ends):
            if min(self._sound(int(end) - len(self._times[topic]), 1).shape[:2]) < smallest:
                raise DataError(
                    f'{self._path}: images of {topic} are smaller than the crop of '
                    f'{smallest}; name other topics, or train on smaller crops'
                )

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> np.ndarray:
        """
        Decode a frame, or, where it is broken or too small, the next one that is not.

        :raises DataError: so many in a row are of no use that it isn't bad luck.
        """
        return self._sound(index, self._smallest)

    def _sound(self, index: int, smallest: int) -> np.ndarray:
        for offset in range(min(TRIES, len(self))):
            topic, moment = self._frame((index + offset) % len(self))
            problem = f'{self._path}: {topic} at {moment} ns '
            try:
                frame = self._decode(topic, moment)
            except (ImageError, StopIteration, AnyReaderError) as error:
                problem += f'cannot be decoded ({error})'
            else:
                if min(frame.shape[:2]) >= smallest:
                    return frame
                problem += f'is smaller than the crop of {smallest}'
            warnings.warn(problem, stacklevel=3)
        raise DataError(
            f'{problem}, and those after it are of no use either; '
            'name the topics of colour images under real.bags'
        )

    def _frame(self, index: int) -> tuple[str, int]:
        which = int(np.searchsorted(self._ends, index, side='right'))
        topic = list(self._times)[which]
        # counted from the end, which is negative
        return topic, int(self._times[topic][index - self._ends[which]])

    def _decode(self, topic: str, moment: int) -> np.ndarray:
        reader = _reader(self._files)
        connections = [item for item in reader.connections if item.topic == topic]
        connection, _, data = next(reader.messages(connections, moment, moment + 1))
        return read_message(reader.deserialize(data, connection.msgtype))


def _reader(files: list[Path]) -> AnyReader:
    """Give this process's own reader: a file position cannot be shared with a worker's."""
    key = (os.getpid(), *files)
    if key not in _readers:
        reader = bag_reader(files)
        reader.open()
        _readers[key] = reader
        if len(_readers) > OPEN_BAGS:
            _readers.popitem(last=False)[1].close()
    _readers.move_to_end(key)
    return _readers[key]


@atexit.register
def _close_readers() -> None:
    for reader in _readers.values():
        reader.close()


def _between(path: Path, times: dict[str, np.ndarray], bag: Bag) -> dict[str, np.ndarray]:
    """Give the times in ns, by topic, of the images that the experiment asks for."""
    seconds = {
        topic: (moments - min(moments[0] for moments in times.values())) / 1e9
        for topic, moments in times.items()
    }
    stop = np.inf if bag.stop is None else bag.stop
    wanted = {
        topic: times[topic][(bag.start <= seconds[topic]) & (seconds[topic] < stop)]
        for topic in bag.topics or sorted(times)
    }
    if not any(map(len, wanted.values())):
        last = max(moments[-1] for moments in seconds.values())
        raise DataError(
            f'{path}: has no image from start: {bag.start:g} to stop: {stop:g}; its '
            f'images are at 0 to {last:.1f} s'
        )
    return {topic: moments for topic, moments in wanted.items() if len(moments)}


def _index(path: Path) -> tuple[list[Path], dict[str, np.ndarray]]:
    """Find the files to read, and the time of every image in ns by topic, in order."""
    path = path.resolve()  # the index holds for whatever directory it is read from
    parts = sorted(part for part in path.rglob('*') if part.is_file()) if path.is_dir() else [path]
    facts = [(str(part), part.stat().st_size, part.stat().st_mtime_ns) for part in parts]
    base = default_directory()
    cache = base / sha256(repr(facts).encode()).hexdigest()
    index = cache / 'index.npz'
    # engines lie there too, and are trusted only if nobody else can write to it
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    cache.mkdir(exist_ok=True)
    with (cache / 'lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one process of a machine reads the bag through
        if not index.exists():
            files, times = _read_through(path, parts, cache)
            table = BytesIO()
            np.savez(table, files=[str(file) for file in files], **times)
            write_atomically(index, table.getvalue())
    with np.load(index) as stored:
        times = {topic: stored[topic] for topic in stored.files if topic != 'files'}
        return [Path(file) for file in stored['files']], times


def _read_through(
    path: Path, parts: list[Path], cache: Path
) -> tuple[list[Path], dict[str, np.ndarray]]:
    try:
        return [path], _image_times([path])
    except Exception as error:  # each storage has exceptions of its own
        reason = error
    # parts in different folders may have the same name
    files = [
        file
        for number, part in enumerate(parts)
        if part.suffix in SALVAGE and (file := _usable(part, cache / f'{number}_{part.name}'))
    ]
    times = _image_times(files) if files else {}
    if not times:
        raise DataError(f'{path}: not a readable bag ({reason}); record it again or take it out')
    warnings.warn(
        f'{path}: damaged ({reason}); going on with the '
        f'{sum(map(len, times.values()))} images before the damage',
        stacklevel=2,
    )
    return files, times


def _usable(part: Path, copy: Path) -> Path | None:
    """Give the part, or the copy with what can be read of it, or None where nothing can."""
    if _is_whole(part):
        return part
    salvage(part, copy)
    return copy if _is_whole(copy) else None


def _is_whole(part: Path) -> bool:
    try:
        _image_times([part])
    except Exception:  # each storage has exceptions of its own
        return False
    return True


def _image_times(files: list[Path]) -> dict[str, np.ndarray]:
    times: dict[str, list[int]] = {}
    with bag_reader(files) as reader:
        wanted: list[Connection] = [
            connection for connection in reader.connections if connection.msgtype in IMAGE_TYPES
        ]
        if wanted:
            for connection, moment, _ in reader.messages(wanted):
                times.setdefault(connection.topic, []).append(moment)
    return {topic: np.array(moments, np.int64) for topic, moments in times.items()}
