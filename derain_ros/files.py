"""Writing files whole or not at all, whatever kills the process or fills the disk."""

from collections.abc import Mapping
import contextlib
import json
import os
from pathlib import Path


def write_atomically(path: Path, data: bytes) -> None:
    """
    Write a file, whole or not at all; it is safe on disk once this returns.

    :raises OSError: the disk is full or out of order; the file is as it was before.
    """
    temporary = path.with_name(path.name + '.partial')
    try:
        with temporary.open('wb') as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # a full disk does not say whose
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


def write_json(path: Path, value: Mapping[str, object]) -> None:
    """Write a value as JSON, as ``write_atomically`` does."""
    write_atomically(path, (json.dumps(value, indent=2) + '\n').encode())
