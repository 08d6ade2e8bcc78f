"""MCAP files: records in their order, chunks compressed as they were."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mcap.records import Attachment, Channel, Chunk, Header, McapRecord, Message, Metadata, Schema
from mcap.stream_reader import breakup_chunk, StreamReader
from mcap.writer import CompressionType, Writer

from derain_ros.media.storage.base import Channel as Topic
from derain_ros.media.storage.base import type_name
from derain_ros.offline.decoding import Record
from derain_ros.offline.formats.base import Advance, Rewriting

# where rosbag2 repeats metadata.yaml
SERIALIZED = 'serialized_metadata'
COMPRESSION = {
    '': CompressionType.NONE,
    'lz4': CompressionType.LZ4,
    'zstd': CompressionType.ZSTD,
}


def rewrite(source: Path, target: Path, rewriting: Rewriting, advance: Advance) -> None:
    """Write an MCAP file anew with its images de-rained."""
    with source.open('rb') as file:
        first = next(
            (record for record in _stored(file) if isinstance(record, Chunk | Message)), None
        )
    options: dict[str, Any] = {'use_chunking': isinstance(first, Chunk)}
    if isinstance(first, Chunk):
        options['compression'] = COMPRESSION[first.compression]
        options['chunk_size'] = first.uncompressed_size
    with source.open('rb') as file, target.open('wb') as output:
        copy = _Copy(Writer(output, **options), rewriting)
        for record in rewriting.derain(_records(file, copy, advance)):
            copy.write(record)
        copy.writer.finish()  # type: ignore[no-untyped-call]


def _stored(file: Any) -> Iterator[McapRecord]:
    file.seek(0)
    return StreamReader(file, emit_chunks=True).records


def _records(file: Any, copy: _Copy, advance: Advance) -> Iterator[Record]:
    position = 0
    for stored in _stored(file):
        for record in breakup_chunk(stored) if isinstance(stored, Chunk) else [stored]:
            yield copy.described(record)
        advance(file.tell() - position)
        position = file.tell()


class _Copy:
    """The file that is written. Channels and schemas get numbers of their own, as they come."""

    def __init__(self, writer: Writer, rewriting: Rewriting) -> None:
        self.writer, self.rewriting = writer, rewriting
        self._schemas: dict[int, int] = {0: 0}
        self._channels: dict[int, int] = {}
        self._beside: dict[int, int] = {}
        self._names: dict[int, str] = {}
        self._topics: dict[int, Topic] = {}

    def described(self, record: McapRecord) -> Record:
        """Return a record with what is known of it when it is read."""
        if isinstance(record, Schema):
            self._names[record.id] = record.name
        if isinstance(record, Channel):
            kind = type_name(self._names.get(record.schema_id, ''))
            self._topics[record.id] = Topic(record.topic, kind, record.message_encoding)
        if isinstance(record, Message):
            topic = self._topics[record.channel_id]
            wanted = topic if self.rewriting.wants(topic) else None
            return Record(record.data, wanted, record.log_time, record)
        return Record(b'', None, 0, record)

    def write(self, record: Record) -> None:
        about = record.about
        if isinstance(about, Header):
            self.writer.start(about.profile, about.library)
        elif isinstance(about, Schema) and about.id not in self._schemas:
            self._schemas[about.id] = self.writer.register_schema(
                about.name, about.encoding, about.data
            )
        elif isinstance(about, Channel) and about.id not in self._channels:
            self._add_channel(about)
        elif isinstance(about, Message):
            self._add_message(about, record)
        elif isinstance(about, Attachment):
            self.writer.add_attachment(
                about.create_time, about.log_time, about.name, about.media_type, about.data
            )
        elif isinstance(about, Metadata):
            self._add_metadata(about)

    def _add_channel(self, channel: Channel) -> None:
        rest = channel.message_encoding, self._schemas[channel.schema_id], channel.metadata
        self._channels[channel.id] = self.writer.register_channel(channel.topic, *rest)
        topic = self._topics[channel.id]
        if self.rewriting.wants(topic) and self.rewriting.is_beside(topic):
            name = self.rewriting.topics[topic.topic]
            self._beside[channel.id] = self.writer.register_channel(name, *rest)

    def _add_metadata(self, metadata: Metadata) -> None:
        values = dict(metadata.metadata)
        if metadata.name == 'rosbag2' and SERIALIZED in values:
            values[SERIALIZED] = self.rewriting.metadata(values[SERIALIZED])
        self.writer.add_metadata(metadata.name, values)

    def _add_message(self, message: Message, record: Record) -> None:
        number = message.channel_id
        times = {
            'log_time': message.log_time,
            'publish_time': message.publish_time,
            'sequence': message.sequence,
        }
        if number in self._beside:
            self.writer.add_message(self._channels[number], data=message.data, **times)
            number = self._beside[number]
        else:
            number = self._channels[number]
        self.writer.add_message(number, data=record.result, **times)
