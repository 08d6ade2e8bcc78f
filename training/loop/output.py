"""The --out folder of a run: one training at a time, room for a checkpoint, files kept whole."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
import fcntl
import os
from pathlib import Path
import socket

from tqdm import tqdm

from derain_ros.files import write_atomically
from training.errors import RunError

LOCK = 'lock'


@contextmanager
def claimed(out: Path) -> Iterator[None]:
    """
    Create a folder and keep other trainings out of it.

    A folder that was created here is removed again if nothing was written to it.

    :raises RunError: another training holds it, or nothing can be written to it.
    """
    created = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = (out / LOCK).open('a+')
    except OSError as error:
        raise RunError(f'{out}: cannot be written to ({error}); choose another --out') from error
    with lock:
        try:
            # not flock, whose locks pass on to worker processes and outlive a kill
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            lock.seek(0)
            raise RunError(
                f'{out}: {lock.read()} is training into it; wait for its end, or choose '
                'another --out'
            ) from None
        except OSError:
            pass  # some network disks have no locks; training is worth more than the check
        with suppress(OSError):  # a full disk is found by ``check_room``
            lock.truncate(0)
            os.write(lock.fileno(), f'process {os.getpid()} on {socket.gethostname()}'.encode())
        try:
            yield
        finally:
            with suppress(OSError):
                if created and [path.name for path in out.iterdir()] == [LOCK]:
                    (out / LOCK).unlink()
                    out.rmdir()


def check_room(out: Path, size_bytes: int) -> None:
    """
    Write a file and remove it, so that a full disk is found before the first step.

    :param size_bytes: of all files of a run; those that are there already count.
    :raises RunError: there is no room for the others.
    """
    trial = out / 'room'
    there_bytes = sum(path.stat().st_size for path in out.iterdir() if path.is_file())
    try:
        # random, because some file systems compress
        write_atomically(trial, os.urandom(max(0, size_bytes - there_bytes)))
    except OSError as error:
        raise RunError(
            f'{out}: has no room for the {size_bytes / 1e6:.1f} MB of a run ({error.strerror}); '
            'make room, or choose another --out'
        ) from error
    finally:
        with suppress(OSError):
            trial.unlink()


def keep(path: Path, data: bytes, last: bool, progress: tqdm) -> bool:
    """
    Write a file whole, or leave it as it was.

    :param last: there is no later chance to write it.
    :returns: whether it was written; while training goes on, a full disk costs only that file.
    :raises RunError: it cannot be written, and this was the last chance.
    """
    try:
        write_atomically(path, data)
        return True
    except OSError as error:
        problem = f'{path}: not saved ({error.strerror}); make room'
        if last:
            raise RunError(f'{problem} and --resume') from error
        progress.write(f'{problem} while training goes on')
        return False
