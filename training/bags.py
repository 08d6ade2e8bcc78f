"""
Real rain straight from rosbags (ROS 1; ROS 2 in sqlite3 and MCAP), and from photographs.

A bag is read through once to find its images; what was found is kept under
``$XDG_CACHE_HOME/derain_ros``, and from then on any frame is a seek away. Of a damaged bag the
readable part is used.
"""
from hashlib import sha256
import os
from pathlib import Path
import warnings

from configuration import Bag
from messages import bag_reader, IMAGE_TYPES, read_message
import numpy as np
from pairs import DataError, image_files, number, read_image
from rosbags.highlevel import AnyReader, AnyReaderError
from rosbags.interfaces import Connection
from salvage import SALVAGE, salvage

from derain_ros import images
from derain_ros.engines.cache import default_directory

TRIES = 20


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
            raise DataError(f'{folder}: every file is numbered within validation; rename or add '
                            'some, or change validation')
        for path in self._paths:
            if min(read_image(path).shape[:2]) < smallest:
                raise DataError(f'{path}: smaller than the crop of {smallest}; take it out, or '
                                'train on smaller crops')

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
            raise DataError(f'{self._path}: has no image topic {", ".join(sorted(unknown))}; '
                            f'it has: {", ".join(sorted(times))}')
        origin = min(int(moments[0]) for moments in times.values())
        stop = np.inf if bag.stop is None else bag.stop
        self._frames = [(topic, int(moment)) for topic in bag.topics or sorted(times)
                        for moment in times[topic] if bag.start <= (moment - origin) / 1e9 < stop]
        if not self._frames:
            raise DataError(f'{self._path}: has no image between {bag.start} s and {bag.stop} s')
        self._reader: AnyReader | None = None
        self._owner = 0
        topics = [topic for topic, _ in self._frames]
        for topic in sorted(set(topics)):
            if min(self[topics.index(topic)].shape[:2]) < smallest:
                raise DataError(f'{self._path}: images of {topic} are smaller than the crop of '
                                f'{smallest}; name other topics, or train on smaller crops')

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: int) -> np.ndarray:
        """
        Decode a frame, or, where it is broken, the next one that is not.

        :raises DataError: so many in a row cannot be decoded that it isn't bad luck.
        """
        for offset in range(min(TRIES, len(self))):
            topic, moment = self._frames[(index + offset) % len(self)]
            try:
                return self._decode(topic, moment)
            except (images.ImageError, StopIteration, AnyReaderError) as error:
                problem = f'{self._path}: {topic} at {moment} ns cannot be decoded ({error})'
                warnings.warn(problem, stacklevel=2)
        raise DataError(f'{problem}, nor can those after it; '
                        'name the topics of colour images under real.bags')

    def _decode(self, topic: str, moment: int) -> np.ndarray:
        reader = self._open()
        connections = [item for item in reader.connections if item.topic == topic]
        connection, _, data = next(reader.messages(connections, moment, moment + 1))
        return read_message(reader.deserialize(data, connection.msgtype))

    def _open(self) -> AnyReader:
        """Give this process's own reader: a file position cannot be shared with a worker's."""
        if self._reader is None or self._owner != os.getpid():
            self._reader, self._owner = bag_reader(self._files), os.getpid()
            self._reader.open()
        return self._reader


def _index(path: Path) -> tuple[list[Path], dict[str, np.ndarray]]:
    """Find the files to read, and the time of every image in ns by topic, in order."""
    path = path.resolve()       # the index holds for whatever directory it is read from
    parts = sorted(part for part in path.rglob('*') if part.is_file()) if path.is_dir() else [path]
    facts = [(str(part), part.stat().st_size, part.stat().st_mtime_ns) for part in parts]
    base = default_directory()
    cache = base / sha256(repr(facts).encode()).hexdigest()
    index = cache / 'index.npz'
    if not index.exists():
        # engines lie there too, and are trusted only if nobody else can write to it
        base.mkdir(mode=0o700, parents=True, exist_ok=True)
        cache.mkdir(exist_ok=True)
        files, times = _read_through(path, parts, cache)
        temporary = cache / f'{os.getpid()}.partial'
        with temporary.open('wb') as file:
            np.savez(file, files=[str(file) for file in files], **times)
        os.replace(temporary, index)
    with np.load(index) as stored:
        times = {topic: stored[topic] for topic in stored.files if topic != 'files'}
        return [Path(file) for file in stored['files']], times


def _read_through(path: Path, parts: list[Path],
                  cache: Path) -> tuple[list[Path], dict[str, np.ndarray]]:
    try:
        return [path], _image_times([path])
    except Exception as error:  # each storage has exceptions of its own
        reason = error
    files = [part if _is_whole(part) else salvage(part, cache)
             for part in parts if part.suffix in SALVAGE]
    times = _image_times(files) if files else {}
    if not times:
        raise DataError(f'{path}: not a readable bag ({reason}); record it again or take it out')
    warnings.warn(f'{path}: damaged ({reason}); going on with the '
                  f'{sum(map(len, times.values()))} images before the damage', stacklevel=2)
    return files, times


def _is_whole(part: Path) -> bool:
    try:
        _image_times([part])
    except Exception:  # each storage has exceptions of its own
        return False
    return True


def _image_times(files: list[Path]) -> dict[str, np.ndarray]:
    times: dict[str, list[int]] = {}
    with bag_reader(files) as reader:
        wanted: list[Connection] = [connection for connection in reader.connections
                                    if connection.msgtype in IMAGE_TYPES]
        if wanted:
            for connection, moment, _ in reader.messages(wanted):
                times.setdefault(connection.topic, []).append(moment)
    return {topic: np.array(moments, np.int64) for topic, moments in times.items()}
