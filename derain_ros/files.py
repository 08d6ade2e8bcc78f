"""Files that a kill or a full disk leaves as they were, or as they were to be."""

import contextlib
import json
import os
from pathlib import Path


def write_atomically(path: Path, data: bytes) -> None:
    """
    Write a file: whole or not at all, and safe on disk once this returns.

    :raises OSError: the disk is full or out of order; the file is as it was before.
    """
    temporary = path.with_name(path.name + '.partial')
    try:
        with temporary.open('wb') as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    # a loss of power may undo the renaming till then; not every network disk syncs folders
    with contextlib.suppress(OSError):
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def write_json(path: Path, value: dict) -> None:
    """Write a value as ``write_atomically`` does."""
    write_atomically(path, (json.dumps(value, indent=2) + '\n').encode())
