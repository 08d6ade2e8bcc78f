"""
ROS 1 bags (format 2.0), closed, still open (``.bag.active``) or cut, as far as they can be read.

A bag is a row of records, each of a header, which is a set of named fields, and data. Chunks hold
the messages and the connections they came by, and behind each chunk is its index:
https://wiki.ros.org/Bags/Format/2.0
"""

from __future__ import annotations

import bz2
from collections.abc import Callable, Iterator
from io import BytesIO
import os
from pathlib import Path
import struct
from typing import BinaryIO

import lz4.frame

from derain_ros.media.storage.base import Channel, Place, type_name

MAGIC = b'#ROSBAG V2.0\n'
MESSAGE, BAG_HEADER, INDEX, CHUNK, CONNECTION = b'\x02', b'\x03', b'\x04', b'\x05', b'\x07'
# it holds numbers and a topic; what is longer is damage, and memory is not spent on it
LARGEST_HEADER_BYTES = 2**20
Header = dict[str, bytes]


class Ros1Storage:
    """One bag; a block is where a chunk begins, and the offset that of the message in it."""

    def __init__(self, path: Path) -> None:
        """
        Open it.

        :raises OSError: it cannot be opened.
        """
        self._file = path.open('rb')
        self._bytes = os.fstat(self._file.fileno()).st_size
        self._block, self._chunk = -1, BytesIO()
        self._channels: dict[int, Channel] = {}

    def places(self, wanted: Callable[[Channel], bool]) -> Iterator[Place]:
        """Find messages, see ``Storage``; raise ValueError after them if it was not closed."""
        end, position, block, unindexed = 0, len(MAGIC), 0, None
        while position < self._bytes:
            self._file.seek(position)
            header, length = read_header(self._file)
            after = self._file.tell() + length
            kind = header['op']
            if kind == BAG_HEADER:
                if header.get('encryptor'):
                    raise ValueError('it is encrypted; run: rosbag decrypt')
                end = int.from_bytes(header['index_pos'], 'little')
            elif kind == CHUNK:
                if unindexed is not None:
                    yield from self._walked(unindexed, wanted)
                unindexed = block = position
            elif kind == INDEX:
                entries = self._file.read(min(length, self._bytes))
                yield from self._indexed(header, entries, block, wanted)
                unindexed = None
            position = after
        if unindexed is not None:
            yield from self._walked(unindexed, wanted)
        if not 0 < end < self._bytes:
            raise ValueError('it was not closed, or its end is missing')

    def read(self, block: int, offset: int) -> bytes:
        """Read a message, see ``Storage``; its chunk is kept for the next one."""
        chunk = self._chunk_at(block)
        chunk.seek(offset)
        header, length = read_header(chunk)
        while header['op'] == CONNECTION:  # its first message has the connection before it
            chunk.seek(length, os.SEEK_CUR)
            header, length = read_header(chunk)
        return read_exactly(chunk, length)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _indexed(
        self, header: Header, entries: bytes, block: int, wanted: Callable[[Channel], bool]
    ) -> Iterator[Place]:
        number = int.from_bytes(header['conn'], 'little')
        if number not in self._channels:  # the file names them again at its end, if it has one
            for _ in self._walked(block, wanted):
                pass
        if wanted(self._channels[number]):
            for seconds, nanoseconds, offset in struct.iter_unpack('<III', entries):
                stamp_ns = seconds * 10**9 + nanoseconds
                yield Place(self._channels[number], stamp_ns, block, offset)

    def _walked(self, block: int, wanted: Callable[[Channel], bool]) -> Iterator[Place]:
        """Find the messages of a chunk without its index, and its connections."""
        chunk = self._chunk_at(block)
        chunk.seek(0)
        while chunk.tell() < len(chunk.getbuffer()):
            offset = chunk.tell()
            header, length = read_header(chunk)
            data = read_exactly(chunk, length)
            number = int.from_bytes(header['conn'], 'little')
            if header['op'] == CONNECTION:
                about = read_fields(data)
                kind = type_name(about['type'].decode())
                self._channels[number] = Channel(header['topic'].decode(), kind, 'ros1')
            elif header['op'] == MESSAGE and wanted(self._channels[number]):
                seconds, nanoseconds = struct.unpack('<II', header['time'])
                yield Place(self._channels[number], seconds * 10**9 + nanoseconds, block, offset)

    def _chunk_at(self, block: int) -> BytesIO:
        """Return a chunk's content; of one that is cut, what there is."""
        if block != self._block:
            self._file.seek(block)
            header, length = read_header(self._file)
            data = self._file.read(min(length, self._bytes))
            self._block, self._chunk = block, BytesIO(decompressed(header, data))
        return self._chunk


def decompressed(header: Header, data: bytes) -> bytes:
    """Return the content of a chunk; of one that is cut, what there is."""
    compression = header['compression']
    if compression == b'bz2':
        return bz2.BZ2Decompressor().decompress(data)
    if compression == b'lz4':
        whole: bytes = lz4.frame.LZ4FrameDecompressor().decompress(data)
        return whole
    return data


def read_header(source: BinaryIO) -> tuple[Header, int]:
    """Read the header of a record, and how many bytes of data follow."""
    size = int.from_bytes(read_exactly(source, 4), 'little')
    if size > LARGEST_HEADER_BYTES:
        raise ValueError('the header of a record is damaged')
    header = read_fields(read_exactly(source, size))
    return header, int.from_bytes(read_exactly(source, 4), 'little')


def read_fields(data: bytes) -> Header:
    """Read the fields of a header, in their order."""
    fields, position = {}, 0
    while position < len(data):
        length = int.from_bytes(data[position : position + 4], 'little')
        name, _, value = data[position + 4 : position + 4 + length].partition(b'=')
        fields[name.decode()] = value
        position += 4 + length
    return fields


def read_exactly(source: BinaryIO, length: int) -> bytes:
    """
    Read so many bytes.

    :raises ValueError: the file ends before.
    """
    data = source.read(length)
    if len(data) != length:
        raise ValueError('a record is cut short')
    return data
