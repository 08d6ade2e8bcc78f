"""Recordings of video in messages, as image_transport's ffmpeg plugin and Foxglove's tools do."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.video.frame import PictureType
import numpy as np
from rosbags.typesys import get_types_from_msg, get_typestore, Stores

from helpers.bags import opened_writer
from helpers.offline import Recorded, scene, STRING

PACKET = 'ffmpeg_image_transport_msgs/msg/FFMPEGPacket'
VIDEO = 'foxglove_msgs/msg/CompressedVideo'
FIELDS = {
    PACKET: 'std_msgs/Header header\nint32 width\nint32 height\nstring encoding\nuint64 pts\n'
    'uint8 flags\nbool is_bigendian\nuint8[] data',
    VIDEO: 'builtin_interfaces/Time timestamp\nstring frame_id\nuint8[] data\nstring format',
}
OLDER_PACKET = (
    'std_msgs/Header header\nuint8[] data\nint32 img_width\nint32 img_height\nstring encoding\n'
    'uint64 pts\nuint8 flags'
)
TOPIC, OTHER = '/front/image_raw/ffmpeg', '/other'
FRAMES, KEY_EVERY = 20, 7
BT709, FULL_RANGE = 1, 2


def packets(
    codec: str, layout: str = 'yuv420p', size: tuple[int, int] = (48, 64), **options: str
) -> list[av.Packet]:
    """Return the packets of ``FRAMES`` scenes in BT.709 and full range."""
    context = av.CodecContext.create({'h264': 'libx264', 'h265': 'libx265'}[codec], 'w')
    context.height, context.width = size
    context.pix_fmt = layout
    context.time_base = Fraction(1, 10)
    context.colorspace, context.color_range = BT709, FULL_RANGE
    context.options = {'tune': 'zerolatency', 'crf': '8', 'g': '999', 'forced-idr': '1'}
    context.options |= {'x265-params': 'log-level=error', **options}
    coded = []
    for index in range(FRAMES):
        frame = av.VideoFrame.from_ndarray(scene(index / 4, *size), format='rgb24').reformat(
            format=layout, dst_colorspace=BT709, dst_color_range=FULL_RANGE
        )
        frame.pts, frame.time_base = index, context.time_base
        frame.pict_type = PictureType.NONE if index % KEY_EVERY else PictureType.I
        coded += context.encode(frame)
    return coded + context.encode(None)


def write_video_drive(
    path: Path,
    kind: str,
    message: str = PACKET,
    codec: str = 'h264',
    data: Sequence[av.Packet] | None = None,
    fields: str = '',
) -> Path:
    """
    Write a bag of a camera that records video, and of another topic between its packets.

    :param kind: of ``KINDS``.
    :param data: packets in place of those of ``packets``.
    :param fields: of the message, where they are not those of today.
    """
    types, serialize, writer = opened_writer(path, kind, {})
    types.register(get_types_from_msg(fields or FIELDS[message], message))
    with writer:
        video, other = (
            writer.add_connection(topic, name, typestore=types)
            for topic, name in ((TOPIC, message), (OTHER, STRING))
        )
        for index, packet in enumerate(packets(codec) if data is None else data):
            packed = _message(types, message, codec, index, packet)
            writer.write(video, 10**9 + index * 10**8, serialize(packed, message))
            text = types.types[STRING](f'{index}')
            writer.write(other, 10**9 + index * 10**8 + 1, serialize(text, STRING))
    return path


def _message(types: Any, message: str, codec: str, index: int, packet: av.Packet) -> Any:
    header, time = (
        types.types[name] for name in ('std_msgs/msg/Header', 'builtin_interfaces/msg/Time')
    )
    values = {
        'timestamp': time(1, index),
        'frame_id': 'camera',
        'format': codec,
        'encoding': f'{codec.replace("h265", "hevc")};yuv420p;bgr8;bgr8',
        'data': np.frombuffer(bytes(packet), np.uint8),
        'pts': 10**6 * index,
        'flags': int(packet.is_keyframe),
        'is_bigendian': False,
        'width': 64,
        'height': 48,
        'img_width': 64,
        'img_height': 48,
    }
    if 'header' in types.types[message].__dataclass_fields__:
        sequence = {'seq': index} if 'seq' in header.__dataclass_fields__ else {}
        values['header'] = header(**sequence, stamp=time(1, index), frame_id='camera')
    names = types.types[message].__dataclass_fields__
    return types.types[message](**{name: values[name] for name in names if name in values})


def read_message(kind: str, one: Recorded, fields: str = '') -> Any:
    """Return the message of a recorded packet."""
    types = get_typestore(Stores.ROS1_NOETIC if kind == 'ros1' else Stores.ROS2_HUMBLE)
    types.register(get_types_from_msg(fields or FIELDS[one.kind], one.kind))
    deserialize = types.deserialize_ros1 if kind == 'ros1' else types.deserialize_cdr
    return deserialize(one.data, one.kind)


def pictures(codec: str, data: Sequence[Any]) -> list[av.VideoFrame | None]:
    """Decode packets in their order; None for one of which no picture comes."""
    context = av.CodecContext.create({'h264': 'h264', 'h265': 'hevc'}[codec], 'r')
    context.thread_type = 'SLICE'
    shown: list[av.VideoFrame | None] = [None] * len(data)
    for index, packet in enumerate(data):
        packet = av.Packet(bytes(packet))
        packet.pts = index
        try:
            frames = context.decode(packet)
        except av.FFmpegError:
            continue
        for frame in frames:
            shown[frame.pts] = frame
    return shown
