"""What can still be read of a damaged bag, copied into a sound one."""

from collections.abc import Callable, Iterable, Iterator
import contextlib
from io import BytesIO
import os
from pathlib import Path
import sqlite3
from typing import BinaryIO, NamedTuple, TypeVar

from mcap.reader import NonSeekingReader
from mcap.writer import Writer as McapWriter
from rosbags.interfaces import Connection
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag1.reader import decompressors, Header, read_bytes, read_uint32, RecordType
from rosbags.typesys.msg import normalize_msgtype

Item = TypeVar('Item')


def salvage(path: Path, copy: Path) -> None:
    """
    Copy the messages before the damage; there may be none.

    :param path: storage file, of a suffix in ``SALVAGE``; the copy has the same.
    :raises OSError: the copy cannot be written; there is none then.
    """
    draft = copy.with_name(f'{os.getpid()}_{copy.name}')
    try:
        SALVAGE[path.suffix](path, draft)
        os.replace(draft, copy)
    except sqlite3.Error as error:
        raise OSError(
            f'{path}: damaged, and what is left of it cannot be copied to {copy} ({error})'
        ) from error
    finally:
        draft.unlink(missing_ok=True)


def _before_the_damage(items: Iterable[Item]) -> Iterator[Item]:
    """Give what can be read; what is wrong with the copy is not suppressed."""
    with contextlib.suppress(Exception):  # the damage shows in many ways
        yield from items


def _mcap(path: Path, copy: Path) -> None:
    channels: dict[int, int] = {}
    with path.open('rb') as source, copy.open('wb') as target:
        writer = McapWriter(target)
        writer.start(profile='ros2')
        reader = NonSeekingReader(source, validate_crcs=True)
        for schema, channel, message in _before_the_damage(
            reader.iter_messages(log_time_order=False)
        ):
            if channel.id not in channels:
                channels[channel.id] = writer.register_channel(
                    channel.topic,
                    channel.message_encoding,
                    0
                    if schema is None
                    else writer.register_schema(schema.name, schema.encoding, schema.data),
                    channel.metadata,
                )
            writer.add_message(
                channels[channel.id],
                message.log_time,
                message.data,
                message.publish_time,
                message.sequence,
            )
        writer.finish()


def _sqlite3(path: Path, copy: Path) -> None:
    with (
        contextlib.closing(sqlite3.connect(f'file:{path}?immutable=1', uri=True)) as source,
        contextlib.closing(sqlite3.connect(copy)) as target,
    ):
        # without it SQLite refuses any file that is shorter than it says
        source.execute('PRAGMA writable_schema=ON')
        for name, sql in _rows(
            source,
            "SELECT name, sql FROM sqlite_master WHERE type = 'table' "
            "AND name NOT LIKE 'sqlite_%'",
        ):
            target.execute(sql)
            for row in _rows(source, f'SELECT * FROM {name}'):
                # a damaged row may read as NULL, or as one that there is already
                target.execute(
                    f'INSERT OR IGNORE INTO {name} VALUES ({", ".join("?" * len(row))})', row
                )
            if name == 'messages':
                target.execute('CREATE INDEX timestamp_idx ON messages (timestamp)')
        target.commit()


def _rows(source: sqlite3.Connection, query: str) -> Iterator[tuple]:
    with contextlib.suppress(sqlite3.DatabaseError):  # the damage
        yield from source.execute(query)


def _ros1(path: Path, copy: Path) -> None:
    connections: dict[Ros1Topic, Connection] = {}
    with path.open('rb') as source, Ros1Writer(copy) as writer:
        for about, moment, data in _before_the_damage(_ros1_messages(source)):
            if about not in connections:
                connections[about] = writer.add_connection(
                    about.topic, about.type, msgdef=about.definition, md5sum=about.md5sum
                )
            writer.write(connections[about], moment, data)


class Ros1Topic(NamedTuple):
    """What publishers of one topic have in common."""

    topic: str
    type: str
    definition: str
    md5sum: str


def _ros1_messages(source: BinaryIO) -> Iterator[tuple[Ros1Topic, int, bytes]]:
    """Give topic, time in ns and data of every message, in the order of the file."""
    source.readline()
    topics: dict[int, Ros1Topic] = {}
    while True:
        header = Header.read(source)
        # of a last, cut chunk there may be less than it says
        data = source.read(read_uint32(source))
        if header.get_uint8('op') != RecordType.CHUNK:
            continue
        chunk = BytesIO(decompressors[header.get_string('compression')](data))
        while chunk.read(1):
            chunk.seek(-1, 1)
            header = Header.read(chunk)
            number = header.get_uint32('conn')
            if header.get_uint8('op') == RecordType.CONNECTION:
                about = Header.read(chunk)
                topics[number] = Ros1Topic(
                    header.get_string('topic'),
                    normalize_msgtype(about.get_string('type')),
                    about.get_string('message_definition'),
                    about.get_string('md5sum'),
                )
            else:
                yield (
                    topics[number],
                    header.get_time('time'),
                    read_bytes(chunk, read_uint32(chunk)),
                )


SALVAGE: dict[str, Callable[[Path, Path], None]] = {
    '.mcap': _mcap,
    '.db3': _sqlite3,
    '.bag': _ros1,
}
