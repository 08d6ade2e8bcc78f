"""ROS 1 bags: the same records in the same chunks; indexes and places are counted anew."""

from __future__ import annotations

import bz2
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
import struct
from typing import BinaryIO, NamedTuple

import lz4.frame

from derain_ros.media.storage.base import Channel, type_name
from derain_ros.media.storage.ros1 import (
    BAG_HEADER,
    CHUNK,
    CONNECTION,
    decompressed,
    Header,
    INDEX,
    MAGIC,
    MESSAGE,
    read_exactly,
    read_fields,
    read_header,
)
from derain_ros.offline.decoding import Record
from derain_ros.offline.formats.base import Advance, Rewriting

CHUNK_INFO = b'\x06'


class Part(NamedTuple):
    """
    A record of the bag.

    :param position: of a chunk in the source.
    :param inside: whether it lies in a chunk.
    """

    header: Header
    position: int
    inside: bool


def rewrite(source: Path, target: Path, rewriting: Rewriting, advance: Advance) -> None:
    """Write a bag anew with its images de-rained."""
    with source.open('rb') as file, target.open('wb') as output:
        copy = _Copy(output, rewriting)
        records = _records(file, source.stat().st_size, rewriting, advance)
        for record in rewriting.derain(records):
            copy.write(record)
        copy.finish()


def _records(
    file: BinaryIO, size: int, rewriting: Rewriting, advance: Advance
) -> Iterator[Record]:
    channels: dict[bytes, Channel] = {}
    file.seek(len(MAGIC))
    while file.tell() < size:
        position = file.tell()
        header, length = read_header(file)
        data = read_exactly(file, length)
        part = Part(header, position, inside=False)
        if header['op'] == CHUNK:
            yield Record(b'', None, 0, part)
            yield from _inside(decompressed(header, data), channels, rewriting)
        elif header['op'] != INDEX:
            yield Record(data, None, 0, part)
        advance(file.tell() - position)


def _inside(
    content: bytes, channels: dict[bytes, Channel], rewriting: Rewriting
) -> Iterator[Record]:
    chunk = BytesIO(content)
    while chunk.tell() < len(content):
        header, length = read_header(chunk)
        data = read_exactly(chunk, length)
        channel, stamp_ns = None, 0
        if header['op'] == CONNECTION:
            kind = type_name(read_fields(data)['type'].decode())
            channels[header['conn']] = Channel(header['topic'].decode(), kind, 'ros1')
        elif header['op'] == MESSAGE and rewriting.wants(channels[header['conn']]):
            channel = channels[header['conn']]
            seconds, nanoseconds = struct.unpack('<II', header['time'])
            stamp_ns = seconds * 10**9 + nanoseconds
        yield Record(data, channel, stamp_ns, Part(header, 0, inside=True))


class _Copy:
    """The bag that is written."""

    def __init__(self, file: BinaryIO, rewriting: Rewriting) -> None:
        self._file, self._rewriting = file, rewriting
        self._chunk: Part | None = None
        self._content = BytesIO()
        # of the open chunk: where the messages of each connection are
        self._index: dict[bytes, list[tuple[bytes, int]]] = {}
        # of each chunk, by its place in the source: its new place, and how many messages it has
        self._chunks: dict[int, tuple[int, dict[bytes, int]]] = {}
        self._bag_header: Header = {}
        self._connections = 0
        self._index_position = 0
        file.write(MAGIC)

    def write(self, record: Record) -> None:
        """Write a record in its place."""
        part: Part = record.about
        if part.inside:
            self._write_inside(part.header, record)
            return
        self._close_chunk()
        kind = part.header['op']
        if kind == CHUNK:
            self._chunk = part
        elif kind == CHUNK_INFO:
            self._write_chunk_info(part.header, record.data)
        elif kind == BAG_HEADER:
            self._bag_header = part.header
            self._file.write(_packed(part.header, record.data))
        else:
            if kind == CONNECTION:
                self._index_position = self._index_position or self._file.tell()
            self._file.write(_packed(part.header, record.data))
            self._file.write(self._connection_beside(part.header, record.data))

    def finish(self) -> None:
        """Write at the beginning where the index is."""
        self._close_chunk()
        count = int.from_bytes(self._bag_header['conn_count'], 'little') + self._connections
        header = self._bag_header | {
            'index_pos': struct.pack('<Q', self._index_position),
            'conn_count': struct.pack('<I', count),
        }
        self._file.seek(len(MAGIC))
        self._file.write(_packed(header, b'')[:-4])

    def _write_inside(self, header: Header, record: Record) -> None:
        if header['op'] == CONNECTION:
            self._content.write(_packed(header, record.data))
            self._content.write(self._connection_beside(header, record.data))
            return
        if record.channel is not None and self._rewriting.is_beside(record.channel):
            self._add_message(header, record.data)
            header = header | {'conn': self._number_beside(header['conn'])}
        self._add_message(header, record.result)

    def _add_message(self, header: Header, data: bytes) -> None:
        entries = self._index.setdefault(header['conn'], [])
        entries.append((header['time'], self._content.tell()))
        self._content.write(_packed(header, data))

    def _close_chunk(self) -> None:
        """Write the open chunk, if there is one, and its index."""
        if self._chunk is None:
            return
        content, header = self._content.getvalue(), self._chunk.header
        counts = {number: len(entries) for number, entries in self._index.items()}
        self._chunks[self._chunk.position] = self._file.tell(), counts
        header = header | {'size': struct.pack('<I', len(content))}
        self._file.write(_packed(header, _compressed(header, content)))
        for number, entries in self._index.items():
            index = {
                'op': INDEX,
                'ver': struct.pack('<I', 1),
                'conn': number,
                'count': struct.pack('<I', len(entries)),
            }
            places = b''.join(time + struct.pack('<I', offset) for time, offset in entries)
            self._file.write(_packed(index, places))
        self._chunk, self._content, self._index = None, BytesIO(), {}

    def _write_chunk_info(self, header: Header, data: bytes) -> None:
        position, counts = self._chunks[int.from_bytes(header['chunk_pos'], 'little')]
        known = {data[place : place + 4] for place in range(0, len(data), 8)}
        for number in counts.keys() - known:
            data += number + struct.pack('<I', counts[number])
        header = header | {
            'chunk_pos': struct.pack('<Q', position),
            'count': struct.pack('<I', len(data) // 8),
        }
        self._file.write(_packed(header, data))

    def _connection_beside(self, header: Header, data: bytes) -> bytes:
        """Return the record of the de-rained topic of a connection; nothing if it has none."""
        about = read_fields(data)
        channel = Channel(header['topic'].decode(), type_name(about['type'].decode()), 'ros1')
        if not self._rewriting.wants(channel) or not self._rewriting.is_beside(channel):
            return b''
        self._connections += self._chunk is None  # those at the end are counted
        name = self._rewriting.topics[channel.topic].encode()
        header = header | {'conn': self._number_beside(header['conn']), 'topic': name}
        return _packed(header, _fields(about | {'topic': name}))

    def _number_beside(self, number: bytes) -> bytes:
        """Return the number of the de-rained connection, which no other has."""
        count = int.from_bytes(self._bag_header['conn_count'], 'little')
        return struct.pack('<I', int.from_bytes(number, 'little') + count)


def _fields(header: Header) -> bytes:
    pairs = [name.encode() + b'=' + value for name, value in header.items()]
    return b''.join(struct.pack('<I', len(pair)) + pair for pair in pairs)


def _packed(header: Header, data: bytes) -> bytes:
    fields = _fields(header)
    return struct.pack('<I', len(fields)) + fields + struct.pack('<I', len(data)) + data


def _compressed(header: Header, content: bytes) -> bytes:
    if header['compression'] == b'bz2':
        return bz2.compress(content)
    if header['compression'] == b'lz4':
        packed: bytes = lz4.frame.compress(content, 0)
        return packed
    return content
