"""Recordings of rosbag2 in sqlite3, as far as they can be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
import sqlite3
from urllib.parse import quote

from derain_ros.media.storage.base import Channel, Place, type_name

MAGIC = b'SQLite format 3\0'


class Sqlite3Storage:
    """One database; a block is a row of its table of messages, and the offset always 0."""

    def __init__(self, path: Path) -> None:
        """
        Open it, to be read only.

        :raises sqlite3.Error: it cannot be opened.
        """
        # immutable: the disk may be read-only, and nobody writes to a recording any more
        self._database = sqlite3.connect(f'file:{quote(str(path))}?immutable=1', uri=True)
        # without it SQLite refuses any file that is shorter than it says
        self._database.execute('PRAGMA writable_schema=ON')
        self._cut = _is_cut(path)

    def places(self, wanted: Callable[[Channel], bool]) -> Iterator[Place]:
        """Find messages, see ``Storage``; raise ValueError after them if the end is missing."""
        channels = {
            number: channel
            for number, topic, kind, encoding in self._database.execute(
                'SELECT id, name, type, serialization_format FROM topics'
            )
            if wanted(channel := Channel(topic, type_name(kind), encoding))
        }
        # Not by the index, which lies at the end and may be cut off. Of a file that is cut all is
        # read, because rows are found whose data are not there any more.
        for row, number, stamp_ns, *_ in self._database.execute(
            f'SELECT id, topic_id, timestamp{", data" if self._cut else ""} '
            f'FROM messages NOT INDEXED WHERE topic_id IN ({", ".join("?" * len(channels))})',
            list(channels),
        ):
            if isinstance(stamp_ns, int):  # of a damaged row it may be NULL
                yield Place(channels[number], stamp_ns, row, 0)
        if self._cut:
            raise ValueError('its end is missing')

    def read(self, block: int, offset: int) -> bytes:
        """Read a message, see ``Storage``."""
        query = self._database.execute('SELECT data FROM messages WHERE id = ?', (block,))
        data: bytes = query.fetchone()[0]
        return data

    def close(self) -> None:
        """Close the database."""
        self._database.close()


def _is_cut(path: Path) -> bool:
    """Tell whether a database is shorter than its header says."""
    with path.open('rb') as file:
        header = file.read(100)
    page_bytes = int.from_bytes(header[16:18], 'big')
    pages = int.from_bytes(header[28:32], 'big')
    return path.stat().st_size < pages * (65536 if page_bytes == 1 else page_bytes)
