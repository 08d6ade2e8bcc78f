"""
The user's cache directory, which nobody else can write to.

What lies there is trusted: a built engine is code, and an index names files to read. So a
directory that others can write to is refused, and its lock file is never a link.
"""

from collections.abc import Iterator
from contextlib import contextmanager
import fcntl
import os
from pathlib import Path
import stat

from derain_ros.errors import DataError

WAY_OUT = 'set XDG_CACHE_HOME to a folder that is yours alone'


def cache_directory() -> Path:
    """
    Return ``$XDG_CACHE_HOME/derain_ros``, by default ``~/.cache/derain_ros``; it may not exist.

    :raises DataError: neither XDG_CACHE_HOME nor a home directory is known.
    """
    # a relative path is invalid there, by the XDG base directory specification
    root = os.environ.get('XDG_CACHE_HOME', '')
    if os.path.isabs(root):
        return Path(root) / 'derain_ros'
    try:
        return Path.home() / '.cache' / 'derain_ros'
    except RuntimeError as error:
        raise DataError(f'there is no home directory to keep files in: {WAY_OUT}') from error


def make_private(directory: Path) -> Path:
    """
    Make a directory that nobody else can write to, if it is not there, and return it.

    :raises DataError: it cannot be made, or is not private: another user's, or one that others can
        write to.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        link, status = directory.lstat(), directory.stat()
    except OSError as error:
        raise DataError(
            f'{directory}: cannot be made ({error.strerror}); make its parent writable, or '
            f'{WAY_OUT}'
        ) from error
    # a link to a larger disk is welcome, if it is the user's own
    foreign = not {link.st_uid, status.st_uid} <= {0, os.geteuid()}
    if foreign or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise DataError(
            f'{directory}: other users can write to it, and plant files there; make it yours '
            f'alone (chown and chmod 700 {directory}), or {WAY_OUT}'
        )
    return directory


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """
    Hold a private directory against other processes; the kernel lets go if this one dies.

    :raises DataError: it cannot be locked.
    """
    try:
        # nothing is written to the file, and a link in its place is not followed
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        lock = os.open(directory / 'lock', flags, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError:
            os.close(lock)
            raise
    except OSError as error:
        raise DataError(
            f'{directory / "lock"}: cannot be locked ({error.strerror}); remove it, make its '
            f'folder writable, or {WAY_OUT}'
        ) from error
    try:
        yield
    finally:
        os.close(lock)
