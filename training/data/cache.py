"""Where in the user's cache lies what was found in a recording, until the recording changes."""

from hashlib import sha256
from pathlib import Path

from derain_ros.cache_directory import cache_directory, make_private


def cache_of(recording: Path, settings: object) -> Path:
    """
    Make the folder for what was found in a recording, if it is not there, and return it.

    :param recording: file or folder; once a file of it changes, the cache is another.
    :param settings: what else the result depends on.
    :raises DataError: it cannot be made, or others can write to it.
    """
    path = recording.resolve()  # it holds for whatever directory it is read from
    parts = sorted(part for part in path.rglob('*') if part.is_file()) if path.is_dir() else [path]
    # what SQLite has not yet written to its database lies beside it
    parts += [log for log in [path.with_name(path.name + '-wal')] if log.exists()]
    facts = [(str(part), part.stat().st_size, part.stat().st_mtime_ns) for part in parts]
    name = sha256(repr((settings, facts)).encode()).hexdigest()
    return make_private(make_private(cache_directory()) / name)
