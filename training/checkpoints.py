"""Files that a kill or a full disk leaves as they were, or as they were to be."""
import contextlib
from io import BytesIO
import os
from pathlib import Path
from typing import Any

import torch


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
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def serialize(state: dict[str, Any]) -> bytes:
    """Give the bytes of a checkpoint: tensors, numbers, strings, and containers of these."""
    buffer = BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()
