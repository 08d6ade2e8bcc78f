"""Video files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, cast, NamedTuple

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation
from av.video.stream import VideoStream
import numpy as np
from numpy.typing import NDArray

from derain_ros.errors import DataError
from derain_ros.media.images import (
    check_regular,
    image_files,
    LARGEST_PX,
    read_image,
    VIDEO_SUFFIXES,
)
from derain_ros.order import Order

# FFmpeg's fast conversion between YUV and RGB darkens a picture by more than one grey level. Its
# SWS_ACCURATE_RND, SWS_FULL_CHR_H_INP and _INT in numbers: PyAV 17 has no names for them.
EXACT = int(Interpolation.BILINEAR) | 0x40000 | 0x4000 | 0x2000
# of FFmpeg, which plays a picture as a video of one frame
PICTURE_FORMATS = ('_pipe', 'image2')


class VideoFacts(NamedTuple):
    """
    What a video says of itself.

    :param rate_hz: frames per second on average; 0 if it does not say.
    :param frames: how many, which may be an estimate; 0 if it does not say.
    """

    rate_hz: float
    frames: int


def read_images(path: Path) -> list[NDArray[np.uint8]]:
    """
    Read one image, a folder of images, or one frame per second of a video.

    :returns: uint8 RGB [H, W, 3] each.
    :raises DataError: it is missing, empty, damaged or unreadable.
    """
    if path.suffix.lower() not in VIDEO_SUFFIXES:
        return [read_image(file) for file in image_files(path)]
    # frames of one second are too much alike to be worth their memory
    return list(video_frames(path, seconds=1.0))


def video_facts(path: Path) -> VideoFacts:
    """
    Read the header of a video.

    :raises DataError: it is no video.
    """
    with opened_video(path) as (container, stream):
        rate = stream.average_rate or Fraction(0)
        return VideoFacts(float(rate), stream.frames or round(_seconds(container, stream) * rate))


def video_frames(path: Path, seconds: float = 0.0) -> Iterator[NDArray[np.uint8]]:
    """
    Read a video, one frame in so many seconds, or every frame, as uint8 RGB [H, W, 3], upright.

    All frames that can be decoded are given, before damage is reported.

    :raises DataError: there is no frame that can be decoded, or frames are missing.
    """
    with opened_video(path) as (container, stream):
        every = max(1, round(seconds * (stream.average_rate or 0)))
        for index, frame in enumerate(decoded_frames(path, container, stream)):
            if index % every == 0:
                yield upright(frame)


def decoded_frames(
    path: Path,
    container: InputContainer,
    stream: VideoStream,
    other: Callable[[av.Packet[Any]], None] | None = None,
) -> Iterator[VideoFrame]:
    """
    Decode every frame of an opened video, before damage is reported.

    :param other: is given the packets of the other streams, in the order of the file.
    :raises DataError: there is no frame that can be decoded, or frames are missing.
    """
    shown = damaged = corrupt = packets = end = 0
    for packet in _packets(container, list(container.streams) if other else [stream]):
        if packet is None:
            damaged += 1
            break
        if packet.stream != stream:
            if other:
                other(packet)
            continue
        packets += packet.size > 0
        end = max(end, (packet.pts or 0) + (packet.duration or 0))
        try:
            frames = packet.decode()
        except av.FFmpegError:
            damaged += 1
            continue
        yield from frames
        shown += len(frames)
        corrupt += sum(frame.is_corrupt for frame in frames)
    # after a damaged packet a decoder may leave out others that build on it
    lost = max(damaged, packets - shown) if damaged else 0
    missing = lost + _missing_at_end(container, stream, packets, end)
    _check_whole(path, shown, missing, corrupt)


def _check_whole(path: Path, shown: int, missing: int, corrupt: int) -> None:
    """
    Check the numbers of frames that were shown, that are missing, and that are broken.

    :raises DataError: none was shown, or some are missing or broken.
    """
    if not shown:
        raise DataError(
            f'{path}: not a video that can be read (no frame of it can be decoded); convert it to '
            'H.264 in MP4'
        )
    if missing or corrupt:
        what = f'{corrupt} frames are broken' if corrupt else ''
        if missing:
            what = f'{missing} of {shown + missing} frames are missing' + (what and f', {what}')
        raise DataError(
            f'{path}: damaged, {what}; copy it again or keep what can be read: '
            f'ffmpeg -i {path} repaired.mp4'
        )


@contextmanager
def opened_video(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """
    Open a video, and return it with its first stream of pictures.

    :raises DataError: it is no video.
    """
    check_regular(path)
    try:
        # by its protocol, since a name with a colon would be taken for another one
        container = av.open(f'file:{path}')
    except (av.FFmpegError, OSError) as error:
        raise DataError(
            f'{path}: not a video that can be read ({error.strerror}); copy it again if it is cut '
            'short, else convert it to H.264 in MP4'
        ) from error
    with container:
        if not container.streams.video:
            raise DataError(f'{path}: not a video that can be read (it holds no pictures)')
        if container.format.name.endswith(PICTURE_FORMATS):
            raise DataError(
                f'{path}: is a single picture, where a video is needed; as a picture it is read '
                'once it is a PNG or JPEG file, and named so'
            )
        stream = container.streams.video[0]
        if stream.width * stream.height > LARGEST_PX:
            raise DataError(
                f'{path}: claims frames of {stream.width} x {stream.height} pixels; scale it down'
            )
        yield container, stream


def _packets(container: InputContainer, streams: list[Any]) -> Iterator[av.Packet[Any] | None]:
    """Read the packets of streams up to their end; None where nothing can be read any more."""
    packets = container.demux(streams)
    while True:
        try:
            yield next(packets)
        except StopIteration:
            return
        except av.FFmpegError:
            yield None
            return


def _seconds(container: InputContainer, stream: VideoStream) -> Fraction:
    """Return the length that a video says it has; 0 if it does not say."""
    if stream.duration and stream.time_base:
        return stream.duration * stream.time_base
    said = stream.metadata.get('DURATION', '')  # as Matroska has it, for each of its streams
    with suppress(ValueError):
        hours, minutes, seconds = said.strip('\0').split(':')
        return (int(hours) * 60 + int(minutes)) * 60 + Fraction(seconds)
    if container.duration and len(container.streams) == 1:
        return Fraction(container.duration, av.time_base)
    return Fraction(0)


def _missing_at_end(container: InputContainer, stream: VideoStream, packets: int, end: int) -> int:
    """Return how many frames are missing up to the end that a video says it has."""
    start, tick = stream.start_time or 0, stream.time_base or Fraction(0)
    spacing = (end - start) * tick / max(1, packets)  # that of its own frames: rates may vary
    left = _seconds(container, stream) - (end - start) * tick
    if spacing <= 0 or left < 2 * spacing:
        return 0
    # the number of frames is exact where they are evenly spaced; elsewhere repeated ones count
    even = abs(spacing * (stream.average_rate or 0) - 1) < 0.5
    counted = stream.frames - packets
    return counted if even and counted > 0 else int(left / spacing)


def upright(frame: VideoFrame, order: Order = 'rgb') -> NDArray[np.uint8]:
    """Return a frame as uint8 [H, W, 3], turned as a phone that was held upright says."""
    pixels = samples(frame, order)
    return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90)))


def samples(frame: VideoFrame, order: Order) -> NDArray[np.uint8]:
    """
    Return a frame as uint8 [H, W, 3], as it is stored.

    Its YUV is converted by the matrix and the range that the stream names; by those of BT.601 in
    limited range, as FFmpeg has it, where it names none.
    """
    converted = frame.to_ndarray(format=f'{order}24', interpolation=EXACT)
    return cast(NDArray[np.uint8], converted)
