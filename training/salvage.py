"""What can still be read of a damaged bag, copied into a sound one."""
from collections.abc import Callable
import contextlib
from io import BytesIO
import os
from pathlib import Path
import sqlite3
from typing import BinaryIO

from mcap.records import Channel, Message, Schema
from mcap.stream_reader import StreamReader
from mcap.writer import Writer as McapWriter
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag1.reader import decompressors, Header, read_bytes, read_uint32, RecordType
from rosbags.typesys.msg import normalize_msgtype


def salvage(path: Path, folder: Path) -> Path:
    """
    Copy the messages before the damage into a file of the same name in a folder.

    :param path: storage file, of a suffix in ``SALVAGE``.
    :returns: the copy; it may hold nothing.
    """
    copy, draft = folder / path.name, folder / f'{os.getpid()}_{path.name}'
    try:
        SALVAGE[path.suffix](path, draft)
        os.replace(draft, copy)
    finally:
        draft.unlink(missing_ok=True)
    return copy


def _mcap(path: Path, copy: Path) -> None:
    schemas, channels = {0: 0}, {}
    with path.open('rb') as source, copy.open('wb') as target:
        writer = McapWriter(target)
        writer.start(profile='ros2')
        with contextlib.suppress(Exception):  # the damage, which shows in many ways
            for record in StreamReader(source, validate_crcs=True).records:
                if isinstance(record, Schema):
                    schemas[record.id] = writer.register_schema(
                        record.name, record.encoding, record.data)
                elif isinstance(record, Channel):
                    channels[record.id] = writer.register_channel(
                        record.topic, record.message_encoding, schemas[record.schema_id],
                        record.metadata)
                elif isinstance(record, Message):
                    writer.add_message(channels[record.channel_id], record.log_time, record.data,
                                       record.publish_time, record.sequence)
        writer.finish()


def _sqlite3(path: Path, copy: Path) -> None:
    with (contextlib.closing(sqlite3.connect(f'file:{path}?immutable=1', uri=True)) as source,
          contextlib.closing(sqlite3.connect(copy)) as target):
        # without it SQLite refuses any file that is shorter than it says
        source.execute('PRAGMA writable_schema=ON')
        with contextlib.suppress(sqlite3.DatabaseError):
            tables = source.execute(
                "SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall()
            for name, sql in tables:
                target.execute(sql)
                with contextlib.suppress(sqlite3.DatabaseError):
                    for row in source.execute(f'SELECT * FROM {name}'):
                        target.execute(f'INSERT INTO {name} VALUES ({", ".join("?" * len(row))})',
                                       row)
            target.execute('CREATE INDEX timestamp_idx ON messages (timestamp)')
        target.commit()


def _ros1(path: Path, copy: Path) -> None:
    with path.open('rb') as source, Ros1Writer(copy) as writer:
        source.readline()
        connections: dict = {}
        with contextlib.suppress(Exception):  # the damage, which shows in many ways
            while True:
                header = Header.read(source)
                # of a last, cut chunk there may be less than it says
                data = source.read(read_uint32(source))
                if header.get_uint8('op') == RecordType.CHUNK:
                    chunk = BytesIO(decompressors[header.get_string('compression')](data))
                    _copy_chunk(chunk, writer, connections)


def _copy_chunk(chunk: BinaryIO, writer: Ros1Writer, connections: dict) -> None:
    while chunk.read(1):
        chunk.seek(-1, 1)
        header = Header.read(chunk)
        if header.get_uint8('op') == RecordType.CONNECTION:
            about, topic = Header.read(chunk), header.get_string('topic')
            if header.get_uint32('conn') not in connections:
                connections[header.get_uint32('conn')] = writer.add_connection(
                    topic, normalize_msgtype(about.get_string('type')),
                    msgdef=about.get_string('message_definition'),
                    md5sum=about.get_string('md5sum'))
        else:
            data = read_bytes(chunk, read_uint32(chunk))
            writer.write(connections[header.get_uint32('conn')], header.get_time('time'), data)


SALVAGE: dict[str, Callable[[Path, Path], None]] = {
    '.mcap': _mcap, '.db3': _sqlite3, '.bag': _ros1}
