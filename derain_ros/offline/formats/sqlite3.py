"""rosbag2 in sqlite3: a copy of the database, in which the images are replaced."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
import shutil
import sqlite3
from urllib.parse import quote

from derain_ros.media.storage.base import Channel, type_name
from derain_ros.offline.decoding import Record
from derain_ros.offline.formats.base import Advance, Rewriting


def rewrite(source: Path, target: Path, rewriting: Rewriting, advance: Advance) -> None:
    """Write a database anew with its images de-rained."""
    shutil.copyfile(source, target)
    with (
        closing(sqlite3.connect(f'file:{quote(str(source))}?immutable=1', uri=True)) as original,
        closing(sqlite3.connect(target, isolation_level=None)) as copy,
    ):
        # nothing to go back to: a copy that is not finished is thrown away
        copy.execute('PRAGMA journal_mode = OFF')
        copy.execute('PRAGMA synchronous = OFF')
        copy.execute('BEGIN')
        channels = {
            number: channel
            for number, topic, kind, encoding in original.execute(
                'SELECT id, name, type, serialization_format FROM topics'
            )
            if rewriting.wants(channel := Channel(topic, type_name(kind), encoding))
        }
        beside = {
            number: _add_topic(copy, number, rewriting.topics[channel.topic])
            for number, channel in channels.items()
            if rewriting.is_beside(channel)
        }
        for record in rewriting.derain(_records(original, channels, advance)):
            row, number = record.about
            if number in beside:
                _copy_row(copy, 'messages', row, topic_id=beside[number], data=record.result)
            else:
                copy.execute('UPDATE messages SET data = ? WHERE id = ?', (record.result, row))
        _write_metadata(copy, rewriting)
        copy.execute('COMMIT')


def _records(
    database: sqlite3.Connection, channels: dict[int, Channel], advance: Advance
) -> Iterator[Record]:
    for row, number, stamp_ns, data in database.execute(
        'SELECT id, topic_id, timestamp, data FROM messages '
        f'WHERE topic_id IN ({", ".join("?" * len(channels))}) '
        'AND data IS NOT NULL ORDER BY id',
        list(channels),
    ):
        advance(len(data))
        yield Record(data, channels[number], stamp_ns, (row, number))


def _write_metadata(copy: sqlite3.Connection, rewriting: Rewriting) -> None:
    """Replace what rosbag2 says of the recording, as it does from Iron on."""
    tables = copy.execute("SELECT 1 FROM sqlite_master WHERE name = 'metadata'").fetchall()
    rows = copy.execute('SELECT id, metadata FROM metadata').fetchall() if tables else []
    for row, text in rows:
        copy.execute(
            'UPDATE metadata SET metadata = ? WHERE id = ?', (rewriting.metadata(text), row)
        )


def _add_topic(database: sqlite3.Connection, number: int, name: str) -> int:
    return _copy_row(database, 'topics', number, name=name)


def _copy_row(database: sqlite3.Connection, table: str, row: int, **changed: object) -> int:
    """Add a row like another one, but for some of its columns; return its id."""
    names = [name for _, name, *_ in database.execute(f'PRAGMA table_info({table})')]
    names.remove('id')
    taken = ', '.join('?' if name in changed else name for name in names)
    values = [changed[name] for name in names if name in changed]
    added = database.execute(
        f'INSERT INTO {table} ({", ".join(names)}) SELECT {taken} FROM {table} WHERE id = ?',
        [*values, row],
    )
    assert added.lastrowid is not None
    return added.lastrowid
