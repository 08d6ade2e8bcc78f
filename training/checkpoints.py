"""Files that a kill or a full disk leaves as they were, or as they were to be."""
import contextlib
from io import BytesIO
import os
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm


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


def keep(path: Path, data: bytes, last: bool, progress: tqdm) -> bool:
    """Write a file, or give False; while training goes on, a full disk costs only that file."""
    try:
        write_atomically(path, data)
        return True
    except OSError as error:
        if last:
            raise
        progress.write(f'{path}: not saved ({error}); make room while training goes on')
        return False


def serialize(state: dict[str, Any]) -> bytes:
    """Give the bytes of a checkpoint: tensors, numbers, strings, and containers of these."""
    buffer = BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()
