"""
Built engines on disk, found by what they were built from.

An engine is code that runs with the node's rights, so nothing is read from a directory that
another user can write to. Beside each engine lies a JSON file that says what it is.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from datetime import datetime, timezone
import fcntl
import hashlib
import json
import logging
import os
from pathlib import Path
import stat

from derain_ros.errors import EngineError
from derain_ros.files import write_atomically

log = logging.getLogger(__name__)


class CacheError(EngineError):
    """The cache cannot be used; the message names what, the reason and the way out."""


@dataclass(frozen=True, kw_only=True)
class Key:
    """
    All that an engine depends on.

    :param graph: sha256 of the ONNX graph that TensorRT parses.
    :param flavour: ``tensorrt`` or ``tensorrt_rtx``.
    :param flags: what the builder was told beside the graph.
    """

    graph: str
    flavour: str
    version: str
    gpu: str
    compute_capability: str
    precision: str
    order: str
    batch: int
    height: int
    width: int
    flags: str

    @property
    def stem(self) -> str:
        """The file name, without its ending."""
        digest = hashlib.sha256(json.dumps(vars(self), sort_keys=True).encode()).hexdigest()
        return (
            f'{self.width}x{self.height}-batch{self.batch}-{self.order}-{self.precision}'
            f'-{digest[:16]}'
        )


@dataclass(frozen=True, kw_only=True)
class Facts:
    """
    What is known of a built engine.

    :param model: the name it was asked for by.
    :param convolutions: how many convolutions run in which precision, read from the engine.
    :param seconds: what the build took.
    """

    model: str
    convolutions: dict[str, int]
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An engine in the cache: ``plan`` is what TensorRT deserialises."""

    path: Path
    key: Key
    facts: Facts
    plan: bytes


def default_directory() -> Path:
    """Give the user's cache directory, as the XDG base directories have it."""
    root = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(root) / 'derain_ros'


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
        try:
            plan = path.read_bytes()
            sidecar = json.loads(path.with_suffix('.json').read_text())
            key, facts = Key(**sidecar['key']), Facts(**sidecar['facts'])
            checksum = sidecar['sha256']
        except FileNotFoundError as error:
            raise CacheError(f'{Path(error.filename).name} is missing') from error
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise CacheError(f'{path.stem}.json does not describe an engine ({error})') from error
        if hashlib.sha256(plan).hexdigest() != checksum:
            raise CacheError(f'{path.name} is damaged, it has not the checksum noted beside it')
        if key.stem != path.stem:
            raise CacheError(f'{path.name} is foreign, it was built as {key.stem}')
        return Entry(path=path, key=key, facts=facts, plan=plan)

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
        """Give every engine, or why it is not usable."""
        for path in sorted(self.directory.glob('*.engine')):
            try:
                yield self.read(path)
            except CacheError as error:
                yield error

    def prune(self, keep: Callable[[Key], bool]) -> list[Path]:
        """
        Remove damaged engines, leftovers of killed builds, and engines that are not to be kept.

        :return: what was removed.
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
            removed = [
                path
                for path in sorted(self.directory.iterdir())
                if path.suffix == '.partial'
                or (path.suffix in ('.engine', '.json') and path.stem not in stems)
            ]
            for path in removed:
                path.unlink()
        return removed

    def timings(self, name: str) -> bytes:
        """Give the kernel timings that earlier builds kept under a name; none is empty."""
        self._check_trust()
        path = self.directory / f'{name}.timings'
        return path.read_bytes() if path.exists() else b''

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
        self._write(path.with_suffix('.json'), json.dumps(sidecar, indent=2).encode())

    def _write(self, path: Path, content: bytes) -> None:
        try:
            write_atomically(path, content)
        except OSError as error:
            raise CacheError(
                f'{path} cannot be written ({error.strerror}); free some space or '
                'set XDG_CACHE_HOME to where there is more'
            ) from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the directory against other processes; the kernel lets go if this one dies."""
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._check_trust()
            lock = os.open(self.directory / 'lock', os.O_WRONLY | os.O_CREAT, 0o600)
        except OSError as error:
            raise CacheError(
                f'{self.directory} cannot be written ({error.strerror}); make it '
                'writable or set XDG_CACHE_HOME to where it can be'
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _check_trust(self) -> None:
        try:
            status = self.directory.stat()
        except FileNotFoundError:
            return
        except OSError as error:
            raise CacheError(
                f'{self.directory} cannot be entered ({error.strerror}); make its '
                'folders yours, or set XDG_CACHE_HOME'
            ) from error
        writable = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if writable or status.st_uid not in (0, os.geteuid()):
            raise CacheError(
                f'{self.directory} can be written by other users, who could plant an engine '
                f'there; make it yours alone: chmod 700 {self.directory}'
            )

    def _nearest(self, key: Key) -> str:
        """Say in what the key differs from the engine most like it, which is why it is a miss."""
        differences = [
            [
                field.name
                if field.name == 'graph'
                else f'{field.name} {getattr(entry.key, field.name)} became '
                f'{getattr(key, field.name)}'
                for field in fields(Key)
                if getattr(entry.key, field.name) != getattr(key, field.name)
            ]
            for entry in self.entries()
            if isinstance(entry, Entry)
        ]
        if not differences:
            return 'it is the first'
        return f'the most like it differs in {", ".join(min(differences, key=len))}'
