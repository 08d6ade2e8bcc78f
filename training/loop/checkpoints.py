"""What a run keeps while it trains."""

from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from derain_ros.files import write_atomically


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
