"""Recordings in MCAP, as far as they can be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import contextlib
import os
from pathlib import Path

from mcap.reader import SeekingReader
from mcap.records import Channel as McapChannel
from mcap.records import Chunk, McapRecord, Message, MessageIndex, Schema
from mcap.stream_reader import breakup_chunk, StreamReader
from mcap.summary import Summary

from derain_ros.media.storage.base import Channel, Place, type_name

MAGIC = b'\x89MCAP0\r\n'


class McapStorage:
    """One file; a block is where a chunk begins, and the offset the message's number in it."""

    def __init__(self, path: Path) -> None:
        """
        Open it.

        :raises OSError: it cannot be opened.
        """
        self._file = path.open('rb')
        self._bytes = os.fstat(self._file.fileno()).st_size
        self._block, self._messages = -1, list[bytes]()

    def places(self, wanted: Callable[[Channel], bool]) -> Iterator[Place]:
        """Find messages, see ``Storage``: by the index at the end, or record by record."""
        summary = None
        with contextlib.suppress(Exception):  # damage shows in many ways
            reader = SeekingReader(self._file, record_size_limit=self._bytes)
            summary = reader.get_summary()
        if summary is not None and _is_complete(summary):
            return self._indexed(summary, wanted)
        return self._scanned(wanted)

    def read(self, block: int, offset: int) -> bytes:
        """Read a message, see ``Storage``; its chunk is kept for the next one."""
        if block != self._block:
            self._file.seek(block)
            record = next(self._records())
            if isinstance(record, Chunk):
                records = breakup_chunk(record, validate_crc=True)
            else:
                records = [record]
            self._messages = [each.data for each in records if isinstance(each, Message)]
            self._block = block
        return self._messages[offset]

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _records(self, *, skip_magic: bool = True) -> Iterator[McapRecord]:
        """Return the records from where the file stands; a damaged one may claim any length."""
        return StreamReader(
            self._file,
            skip_magic=skip_magic,
            emit_chunks=True,
            record_size_limit=self._bytes,
        ).records

    def _indexed(self, summary: Summary, wanted: Callable[[Channel], bool]) -> Iterator[Place]:
        channels = {
            number: _channel(channel, summary.schemas)
            for number, channel in summary.channels.items()
        }
        for chunk in sorted(summary.chunk_indexes, key=lambda chunk: chunk.chunk_start_offset):
            if not any(wanted(channels[number]) for number in chunk.message_index_offsets):
                continue
            entries = []
            for place in chunk.message_index_offsets.values():
                self._file.seek(place)
                index = next(self._records())
                assert isinstance(index, MessageIndex), 'its index is damaged'
                entries += [(at, stamp, index.channel_id) for stamp, at in index.records]
            for number, (_, stamp, channel) in enumerate(sorted(entries)):
                if wanted(channels[channel]):
                    yield Place(channels[channel], stamp, chunk.chunk_start_offset, number)

    def _scanned(self, wanted: Callable[[Channel], bool]) -> Iterator[Place]:
        schemas: dict[int, Schema] = {}
        channels: dict[int, Channel] = {}
        self._file.seek(0)
        records = self._records(skip_magic=False)
        while True:
            position = self._file.tell()
            record = next(records, None)
            if record is None:
                return
            chunk = (
                breakup_chunk(record, validate_crc=True) if isinstance(record, Chunk) else [record]
            )
            number = 0
            for each in chunk:
                if isinstance(each, Schema):
                    schemas[each.id] = each
                elif isinstance(each, McapChannel):
                    channels[each.id] = _channel(each, schemas)
                elif isinstance(each, Message):
                    if wanted(channels[each.channel_id]):
                        place = (each.log_time, position, number)
                        yield Place(channels[each.channel_id], *place)
                    number += 1


def _channel(channel: McapChannel, schemas: dict[int, Schema]) -> Channel:
    schema = schemas.get(channel.schema_id)
    name = '' if schema is None else schema.name
    return Channel(channel.topic, type_name(name), channel.message_encoding)


def _is_complete(summary: Summary) -> bool:
    """Tell whether a summary leads to all messages; what it repeats is up to the recorder."""
    found = {number for chunk in summary.chunk_indexes for number in chunk.message_index_offsets}
    return bool(
        found
        and found <= summary.channels.keys()
        and all(chunk.message_index_offsets for chunk in summary.chunk_indexes)
        and {channel.schema_id for channel in summary.channels.values()}
        <= {0, *summary.schemas.keys()}
    )
