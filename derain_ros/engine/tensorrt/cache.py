"""
Built engines on disk, found by what they were built from.

An engine is code that runs with the node's rights, so nothing is read from a directory that
another user can write to. Beside each engine lies a JSON file that says what it is.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
import hashlib
import logging
from pathlib import Path

from derain_ros.cache_directory import cache_directory, locked, make_private, WAY_OUT
from derain_ros.engine.tensorrt.entry import CacheError, Entry, Facts, Key, read_entry
from derain_ros.files import write_atomically, write_json

log = logging.getLogger(__name__)


class EngineCache:
    """Engines in one directory."""

    def __init__(self, directory: Path | None = None) -> None:
        """
        Name the directory; it is made when it is first used.

        :param directory: None takes the user's cache directory.
        :raises DataError: there is none.
        """
        self.directory = directory or cache_directory()

    def read(self, path: Path) -> Entry:
        """
        Read an engine and what is said of it.

        :raises CacheError: a file is missing or damaged.
        :raises DataError: the directory is not the user's alone.
        """
        make_private(self.directory)
        return read_entry(path)

    def get(
        self, key: Key, build: Callable[[], tuple[bytes, Facts]], *, rebuild: bool = False
    ) -> Entry:
        """
        Find the engine of a key, or build and keep it; a second process meanwhile waits.

        :param build: gives the serialised engine and what is known of it.
        :param rebuild: build even where one is there.
        :raises CacheError: the directory cannot be written, or is full.
        :raises DataError: the directory is not the user's alone, or cannot be made.
        """
        path = self.directory / f'{key.stem}.engine'
        if not rebuild:
            with suppress(CacheError):
                return self.read(path)
        with locked(make_private(self.directory)):
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
        :raises CacheError: the directory cannot be written.
        :raises DataError: the directory is not the user's alone.
        """
        if not self.directory.exists():
            return []
        with locked(make_private(self.directory)):
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
    def _access(self, what: str) -> Iterator[None]:
        """Raise CacheError where the system refuses access to the directory or a file in it."""
        try:
            yield
        except OSError as error:
            raise CacheError(
                f'{error.filename or self.directory} cannot be {what} ({error.strerror}); free '
                f'some space, or {WAY_OUT}'
            ) from error

    def _nearest(self, key: Key) -> str:
        """Say in what the key differs from the engine most like it, which is why it is a miss."""
        differences: list[list[str]] = [
            entry.key.differences(key) for entry in self.entries() if isinstance(entry, Entry)
        ]
        if not differences:
            return 'it is the first'
        fewest = min(differences, key=lambda difference: len(difference))
        return f'the most like it differs in {", ".join(fewest)}'
