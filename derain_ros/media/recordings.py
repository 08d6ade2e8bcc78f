"""Which files a recording is made of, each in a state in which its format can be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
import shutil
import sqlite3

import yaml
import zstandard

from derain_ros.errors import DataError
from derain_ros.media.images import check_regular
from derain_ros.media.storage.base import Storage
from derain_ros.media.storage.mcap import MAGIC as MCAP_MAGIC
from derain_ros.media.storage.mcap import McapStorage
from derain_ros.media.storage.ros1 import MAGIC as ROS1_MAGIC
from derain_ros.media.storage.ros1 import Ros1Storage
from derain_ros.media.storage.sqlite3 import MAGIC as SQLITE3_MAGIC
from derain_ros.media.storage.sqlite3 import Sqlite3Storage

BAG_SUFFIXES = ('.bag', '.mcap', '.db3')
# of a file that is being recorded, and of one that was compressed as a whole
MORE_SUFFIXES = ('.active', '.zstd', '.zst')
ZSTD_MAGIC = b'\x28\xb5\x2f\xfd'
FORMATS: dict[bytes, Callable[[Path], Storage]] = {
    MCAP_MAGIC: McapStorage,
    SQLITE3_MAGIC: Sqlite3Storage,
    ROS1_MAGIC: Ros1Storage,
}


def is_bag(path: Path) -> bool:
    """Tell by its name whether a file, or by its content whether a folder, is a recording."""
    if path.is_dir():
        return (path / 'metadata.yaml').exists() or any(map(_has_suffix, path.iterdir()))
    return _has_suffix(path)


def storage_files(path: Path) -> tuple[list[Path], list[str]]:
    """
    Return the files of a recording, in order, and what is wrong with their being there.

    :param path: of a file; or of a folder, in which ``metadata.yaml`` names the files. Where it
        does not, all in the folder and in those below it are taken.
    :raises DataError: nothing is there.
    """
    if not path.is_dir():
        return [path], []
    names: list[str] = []
    with suppress(Exception):  # damage shows in many ways
        metadata = yaml.safe_load((path / 'metadata.yaml').read_text())
        paths = metadata['rosbag2_bagfile_information']['relative_file_paths']
        names = [Path(name).name for name in paths] if isinstance(paths, list) else []
    if names:
        found = [_found(path / name) for name in names]
        problems = [f'{path / name}: is missing' for name, file in zip(names, found) if not file]
        return [file for file in found if file], problems
    files = [file for file in sorted(path.rglob('*')) if file.is_file() and _has_suffix(file)]
    # one that was compressed, and not removed after it
    files = [file for file in files if file.suffix == '' or file.with_suffix('') not in files]
    if not files:
        raise DataError(f'{path}: has no file of a recording ({", ".join(BAG_SUFFIXES)})')
    if (path / 'metadata.yaml').exists():
        return files, [f'{path / "metadata.yaml"}: is damaged; all files of the folder are read']
    return files, []


@contextmanager
def opened(file: Path) -> Iterator[Storage]:
    """
    Open a file of a recording, as its first bytes say what it is.

    :raises ValueError: it is of no format that is read; other exceptions where it is damaged.
    """
    with file.open('rb') as start:
        magic = start.read(16)
    for begin, storage in FORMATS.items():
        if magic.startswith(begin):
            with closing(storage(file)) as opened:
                yield opened
            return
    kind = 'neither a ROS 1 bag (2.0) nor MCAP nor sqlite3' if magic else 'empty'
    raise ValueError(f'it is {kind}')


def made_readable(file: Path, scratch: Path, number: int) -> tuple[Path, str]:
    """
    Return a file that can be read in place of one that cannot, and what had to be done.

    :param scratch: folder for what is decompressed or written anew; it exists.
    :param number: of the file in its recording; parts in different folders may have one name.
    :raises OSError: there is no space for it.
    """
    check_regular(file)
    with file.open('rb') as start:
        compressed = start.read(4) == ZSTD_MAGIC
    copy = scratch / f'{number}_{file.name}'
    if compressed:
        return copy, _decompress(file, copy)
    for suffix in ('-wal', '-journal'):
        log = file.with_name(file.name + suffix)
        if log.exists() and log.stat().st_size:
            _checkpoint(file, log, copy, suffix)
            return (
                copy,
                f'{file}: was not closed, with messages still in {log.name}; both are read',
            )
    return file, ''


def _found(file: Path) -> Path | None:
    """Return a file by its name, or as it was compressed or decompressed by hand; or None."""
    names = (file.name, f'{file.name}.zstd', file.name.removesuffix('.zstd'))
    return next((path for name in names if (path := file.with_name(name)).exists()), None)


def _has_suffix(path: Path) -> bool:
    name = path.name
    for suffix in MORE_SUFFIXES:
        name = name.removesuffix(suffix)
    return name.endswith(BAG_SUFFIXES)


def _decompress(file: Path, copy: Path) -> str:
    """Decompress a file, as far as it is whole, and return what is wrong with it."""
    with file.open('rb') as source, draft(copy) as partial, partial.open('wb') as target:
        try:
            zstandard.ZstdDecompressor().copy_stream(source, target)
        except zstandard.ZstdError as error:
            return f'{file}: damaged ({error})'
    return ''


def _checkpoint(file: Path, log: Path, copy: Path, suffix: str) -> None:
    """Copy a database with its log, which SQLite then works off."""
    with draft(copy) as partial:
        beside = partial.with_name(partial.name + suffix)
        try:
            shutil.copyfile(file, partial)
            shutil.copyfile(log, beside)
            with closing(sqlite3.connect(partial)) as database:
                database.execute('PRAGMA journal_mode = DELETE')
        except sqlite3.Error as error:
            raise OSError(
                f'{file}: what is still in {log.name} cannot be copied to {copy} ({error}); '
                'is the disk full?'
            ) from error
        finally:
            for name in ('-wal', '-shm', '-journal'):
                partial.with_name(partial.name + name).unlink(missing_ok=True)


@contextmanager
def draft(path: Path) -> Iterator[Path]:
    """Lend a name to write to; what is there at the end without an error gets its own."""
    partial = path.with_name(f'{path.name}.partial')
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
