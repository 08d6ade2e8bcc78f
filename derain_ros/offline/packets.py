"""
Messages of video: each holds one packet of H.264 or HEVC, which builds on those before it.

FFMPEGPacket is what image_transport's ffmpeg plugin records, CompressedVideo what Foxglove shows.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, cast

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType, VideoFrame
from av.video.reformatter import Colorspace
import numpy as np
from rosbags.typesys import get_types_from_msg, get_typestore, Stores
from rosbags.typesys.store import Typestore

from derain_ros.errors import ImageError
from derain_ros.media.bags import FFMPEG_PACKET, FOXGLOVE_VIDEO
from derain_ros.media.videos import EXACT
from derain_ros.offline.job import Pixels

ENCODERS = {'h264': 'libx264', 'hevc': 'libx265'}
OPTIONS = {
    'preset': 'veryfast',
    'tune': 'zerolatency',  # a packet for each picture at once, and none that builds on later ones
    'crf': '16',
    # key frames are where they were, and nowhere else
    'forced-idr': '1',
    'g': '1000000000',
    'sc_threshold': '0',
    'x265-params': 'log-level=error:scenecut=0',
}
# how pictures are stored; others, such as grey ones and those of 10 bits, become the first, or the
# last where a side is odd
LAYOUTS = ('yuv420p', 'yuv422p', 'yuv444p')
# the matrix that a video names to the one of a conversion; where it names none, BT.601
MATRICES = {1: Colorspace.ITU709, 7: Colorspace.SMPTE240M, 9: Colorspace.BT2020}
LIMITED_RANGE = 1
KEY_FRAME = 1  # in the flags of FFMPEGPacket

PACKET = """
    std_msgs/Header header
    int32 width
    int32 height
    string encoding
    uint64 pts
    uint8 flags
    bool is_bigendian
    uint8[] data
"""
# as the first versions for ROS 1 have it
OLDER_PACKET = """
    std_msgs/Header header
    uint8[] data
    int32 img_width
    int32 img_height
    string encoding
    uint64 pts
    uint8 flags
"""
VIDEO = """
    builtin_interfaces/Time timestamp
    string frame_id
    uint8[] data
    string format
"""


def _store(base: Stores, packet: str) -> Typestore:
    store = get_typestore(base)
    store.register(get_types_from_msg(packet, FFMPEG_PACKET))
    store.register(get_types_from_msg(VIDEO, FOXGLOVE_VIDEO))
    return store


STORES = {
    'cdr': [_store(Stores.ROS2_HUMBLE, PACKET)],
    'ros1': [_store(Stores.ROS1_NOETIC, packet) for packet in (PACKET, OLDER_PACKET)],
}


def codec_of(message: Any) -> str:
    """
    Return the codec of a message, ``h264`` or ``hevc``.

    :param message: CompressedVideo, or FFMPEGPacket, which names its encoder or codec first.
    :raises ImageError: it is another one.
    """
    name = message.format if hasattr(message, 'format') else message.encoding.split(';')[0]
    if '264' in name:
        return 'h264'
    if '265' in name or 'hevc' in name:
        return 'hevc'
    raise ImageError(f'its codec is {name[:60]!r}; of video in messages, H.264 and HEVC are read')


class PacketEncoder:
    """Encodes the pictures of a topic, in their order."""

    def __init__(self) -> None:
        """Open nothing yet."""
        self._context: VideoCodecContext | None = None
        self._kind: tuple[object, ...] = ()
        self._count = 0

    def encode(self, picture: VideoFrame, message: Any, is_key: bool) -> None:
        """
        Put a picture into a message, in place of the packet that is there.

        :param picture: of ``stored``.
        :param is_key: whether it must not build on earlier pictures.
        """
        codec = codec_of(message)
        kind = codec, picture.width, picture.height, picture.format.name
        if self._context is None or kind != self._kind:
            self._context, self._kind = _opened(codec, picture), kind
        picture.pts, picture.time_base = self._count, self._context.time_base
        picture.pict_type = PictureType.I if is_key else PictureType.NONE
        self._count += 1
        (packet,) = self._context.encode(picture)
        message.data = np.frombuffer(bytes(packet), np.uint8)
        if hasattr(message, 'flags'):
            message.flags = message.flags & ~KEY_FRAME | packet.is_keyframe


def stored(pixels: Pixels, like: VideoFrame) -> VideoFrame:
    """
    Return pixels in the layout and by the matrix of another picture, in limited range.

    FFmpeg shifts colours by half a level where it writes full range.

    :param pixels: uint8 BGR [H, W, 3].
    """
    layout = like.format.name.replace('yuvj', 'yuv')
    if layout not in LAYOUTS:
        layout = LAYOUTS[-1] if like.width % 2 or like.height % 2 else LAYOUTS[0]
    picture = VideoFrame.from_ndarray(pixels, format='bgr24').reformat(
        format=layout,
        dst_colorspace=MATRICES.get(like.colorspace, Colorspace.ITU601),
        dst_color_range=LIMITED_RANGE,
        interpolation=EXACT,
    )
    picture.colorspace, picture.color_range = like.colorspace, LIMITED_RANGE
    picture.color_primaries, picture.color_trc = like.color_primaries, like.color_trc
    return picture


def _opened(codec: str, picture: VideoFrame) -> VideoCodecContext:
    """Return an encoder for pictures like this one."""
    context = cast(VideoCodecContext, av.CodecContext.create(ENCODERS[codec], 'w'))
    context.width, context.height = picture.width, picture.height
    context.pix_fmt, context.time_base = picture.format.name, Fraction(1, 25)
    context.colorspace, context.color_range = picture.colorspace, picture.color_range
    context.color_primaries, context.color_trc = picture.color_primaries, picture.color_trc
    context.options = OPTIONS
    return context
