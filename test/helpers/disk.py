"""A disk that is full."""

from collections.abc import Iterator
from contextlib import contextmanager
import resource
import signal


@contextmanager
def small_disk() -> Iterator[None]:
    """Let no file grow beyond 1000 bytes; not for long, since pytest's own log is one."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
