"""What the scripts have in common: how they end, and what they check before long work."""

from collections.abc import Callable
import functools
import io
import os
from pathlib import Path
import sys
import tempfile
import warnings

from derain_ros.errors import DataError, DerainError

MISTAKE, INTERRUPTED = 2, 130


def command(main: Callable[[], None]) -> Callable[[], int]:
    """
    Let a script end with a status: 0, 2 after an error of input or disk, 130 after Ctrl-C.

    Errors and warnings are one line each, without a traceback. Names that are not UTF-8 are
    printed with escapes.
    """

    @functools.wraps(main)
    def status() -> int:
        format_of_python = warnings.formatwarning
        warnings.formatwarning = lambda message, *_, **__: f'warning: {message}\n'
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors='backslashreplace')
        try:
            main()
        except KeyboardInterrupt:
            print('interrupted', file=sys.stderr)
            return INTERRUPTED
        except (DerainError, OSError) as error:
            print(f'error: {error}', file=sys.stderr)
            return MISTAKE
        finally:
            warnings.formatwarning = format_of_python
        return 0

    return status


def check_writable(folder: Path) -> None:
    """
    Create a folder and write to it, so that long work does not end in an error.

    :raises DataError: nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(os.urandom(4096))
    except OSError as error:
        raise DataError(f'{folder}: cannot be written to ({error}); choose another') from error
