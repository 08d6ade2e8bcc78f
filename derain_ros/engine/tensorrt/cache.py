"""
Built engines on disk, found by what they were built from.

An engine is code that runs with the node's rights, so nothing is read from a directory that
another user can write to. Beside each engine lies a JSON file that says what it is.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
import fcntl
import hashlib
import logging
import os
from pathlib import Path
import stat

from derain_ros.engine.tensorrt.entry import CacheError, Entry, Facts, Key, read_entry
from derain_ros.files import write_atomically, write_json

log = logging.getLogger(__name__)


def default_directory() -> Path:
    """
    Return the user's cache directory, as the XDG base directories have it.

    :raises CacheError: the user has no home directory.
    """
    root = os.environ.get('XDG_CACHE_HOME')
    try:
        return (Path(root) if root else Path.home() / '.cache') / 'derain_ros'
    except RuntimeError as error:
        raise CacheError(f'no cache directory: {error} Set XDG_CACHE_HOME') from error


class EngineCache:
    """Engines in one directory."""

    def __init__(self, directory: Path | None = None) -> None:
        """
        Name the directory; it is made when something is to be kept there.

        :param directory: None takes the user's cache directory.
        """
        self.directory = directory or default_directory()

    def read(self, path: Path) -> Entry:
        """
        Read an engine and what is said of it.

        :raises CacheError: a file is missing, damaged, or could have been written by others.
        """
        self._check_trust()
        return read_entry(path)

    def get(
        self, key: Key, build: Callable[[], tuple[bytes, Facts]], *, rebuild: bool = False
    ) -> Entry:
        """
        Find the engine of a key, or build and keep it; a second process meanwhile waits.

        :param build: gives the serialised engine and what is known of it.
        :param rebuild: build even where one is there.
        :raises CacheError: the directory is not safe, cannot be written, or is full.
        """
        path = self.directory / f'{key.stem}.engine'
        if not rebuild:
            with suppress(CacheError):
                return self.read(path)
        with self._locked():
            try:
                if rebuild:
                    raise CacheError('it was asked for')
                return self.read(path)  # another process built it while this one waited
            except CacheError as error:
                reason = str(error) if path.exists() else self._nearest(key)
            log.info('building %s: %s', path.name, reason)
            plan, facts = build()
            self._keep(path, key, facts, plan)
        return Entry(path=path, key=key, facts=facts, plan=plan)

    def entries(self) -> Iterator[Entry | CacheError]:
        """Return every engine, or why it is not usable."""
        for path in sorted(self.directory.glob('*.engine')):
            try:
                yield self.read(path)
            except CacheError as error:
                yield error

    def prune(self, keep: Callable[[Key], bool]) -> list[Path]:
        """
        Remove damaged engines, leftovers of killed builds, and engines that are not to be kept.

        Only files are removed: a folder is no engine, whatever its name.

        :returns: what was removed.
        :raises CacheError: the directory is not safe or cannot be written.
        """
        if not self.directory.exists():
            return []
        with self._locked():
            stems = {
                entry.path.stem
                for entry in self.entries()
                if isinstance(entry, Entry) and keep(entry.key)
            }
            with self._access('written'):
                removed = [
                    path
                    for path in sorted(self.directory.iterdir())
                    if not path.is_dir()
                    and (
                        path.suffix == '.partial'
                        or (path.suffix in ('.engine', '.json') and path.stem not in stems)
                    )
                ]
                for path in removed:
                    path.unlink()
        return removed

    def timings(self, name: str) -> bytes:
        """Return the kernel timings that earlier builds kept under a name; none is empty."""
        self._check_trust()
        path = self.directory / f'{name}.timings'
        with self._access('read'):
            return path.read_bytes() if path.is_file() else b''

    def keep_timings(self, name: str, timings: bytes) -> None:
        """Keep kernel timings for later builds; called while an engine is being built."""
        self._write(self.directory / f'{name}.timings', timings)

    def _keep(self, path: Path, key: Key, facts: Facts, plan: bytes) -> None:
        sidecar = {
            'key': vars(key),
            'facts': vars(facts),
            'bytes': len(plan),
            'built': datetime.now(timezone.utc).isoformat(timespec='seconds'),
            'sha256': hashlib.sha256(plan).hexdigest(),
        }
        # in this order, so that a build killed between the two leaves no engine that is believed
        self._write(path, plan)
        with self._access('written'):
            write_json(path.with_suffix('.json'), sidecar)

    def _write(self, path: Path, content: bytes) -> None:
        with self._access('written'):
            write_atomically(path, content)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the directory against other processes; the kernel lets go if this one dies."""
        with self._access('written'):
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._check_trust()
            # a link could name a file elsewhere
            flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW
            lock = os.open(self.directory / 'lock', flags, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    @contextmanager
    def _access(self, what: str) -> Iterator[None]:
        """Raise CacheError where the system refuses access to the directory or a file in it."""
        try:
            yield
        except OSError as error:
            raise CacheError(
                f'{error.filename or self.directory} cannot be {what} ({error.strerror}); make '
                f'room and {self.directory} yours, or set XDG_CACHE_HOME to another place'
            ) from error

    def _check_trust(self) -> None:
        with self._access('entered'):
            if not self.directory.exists():
                return
            status = self.directory.stat()
        writable = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if writable or status.st_uid not in (0, os.geteuid()):
            raise CacheError(
                f'{self.directory} can be written by other users, who could plant an engine '
                f'there; make it yours alone: chmod 700 {self.directory}'
            )

    def _nearest(self, key: Key) -> str:
        """Say in what the key differs from the engine most like it, which is why it is a miss."""
        differences: list[list[str]] = [
            entry.key.differences(key) for entry in self.entries() if isinstance(entry, Entry)
        ]
        if not differences:
            return 'it is the first'
        fewest = min(differences, key=lambda difference: len(difference))
        return f'the most like it differs in {", ".join(fewest)}'
