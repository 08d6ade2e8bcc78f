"""
Videos: every frame at its own time, upright; sound and subtitles are copied as they are.

The result is H.264 in BT.709 (or MJPEG where the input is), at a quality at which no loss is seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
from av.container import InputContainer, OutputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace
from av.video.stream import VideoStream
import cv2
import numpy as np

from derain_ros.errors import DataError, DerainError
from derain_ros.media.recordings import draft
from derain_ros.media.videos import decoded_frames, EXACT, opened_video, upright
from derain_ros.offline.job import Job, Pair, Pixels
from derain_ros.offline.overlap import overlapped
from derain_ros.offline.report import begun, Outcome
from derain_ros.stream.inspection import Inspector

FORMATS = {'.mp4': 'mp4', '.mov': 'mov', '.mkv': 'matroska', '.avi': 'avi'}
BT709, LIMITED_RANGE = 1, 1


def derain_video(source: Path, target: Path, job: Job) -> Outcome:
    """
    De-rain a video; what can be decoded of a damaged one is written, and the damage named.

    :raises DataError: it is no video, no frame of it can be de-rained, or a part of it does not
        fit the format of the target.
    """
    outcome = begun(source, target, [source.name], job)
    with opened_video(source) as (container, stream), draft(target) as partial:
        kind = FORMATS[target.suffix.lower()]
        with av.open(f'file:{partial}', 'w', format=kind) as output:
            _write(_Writing(container, stream, output, source), job, outcome)
    return outcome


class _Writing:
    """The streams of a result; the one of pictures is there once the first frame is known."""

    def __init__(
        self,
        container: InputContainer,
        stream: VideoStream,
        output: OutputContainer,
        source: Path,
    ) -> None:
        self.container, self.stream, self.source = container, stream, source
        self.output = output
        self.output.metadata.update(container.metadata)
        name = 'mjpeg' if stream.codec_context.name == 'mjpeg' else 'libx264'
        self.video: Any = output.add_stream(name, rate=stream.average_rate or 25)
        self.damage = ''
        self._others = {
            other: self._copied(other)
            for other in container.streams
            if other.type in ('audio', 'subtitle')
        }
        self._packets: list[Any] = []

    def _copied(self, other: Any) -> Any:
        try:
            return self.output.add_stream_from_template(other)
        except (ValueError, av.FFmpegError) as error:
            raise DataError(
                f'{self.source}: its {other.type} does not fit {self.output.format.name} '
                f'({error}); take it out, or name the output .mkv'
            ) from error

    def frames(self) -> Iterator[VideoFrame]:
        """Return the frames, each with a time; damage is kept for the end."""
        tick = self.stream.time_base or Fraction(1, 1000)
        rate = self.stream.average_rate or 25
        after = 0
        try:
            for frame in decoded_frames(
                self.source, self.container, self.stream, self._packets.append
            ):
                if frame.pts is None:  # as in old AVI files, whose frames follow evenly
                    frame.pts, frame.time_base = after, tick
                after = frame.pts + round(1 / (rate * tick))
                yield frame
        except DataError as error:
            self.damage = str(error)

    def write(self, frame: VideoFrame) -> None:
        """Write a frame, and what the file has beside it."""
        if not self.video.codec_context.is_open:
            self._set_up(frame)
        self._copy()
        self.output.mux(self.video.encode(frame))

    def finish(self) -> None:
        self._copy()
        self.output.mux(self.video.encode(None))

    def _set_up(self, frame: VideoFrame) -> None:
        context = self.video.codec_context
        context.width, context.height = frame.width, frame.height
        context.pix_fmt = frame.format.name
        context.time_base = self.video.time_base = self.stream.time_base
        if context.name == 'mjpeg':
            context.options = {'qmin': '1', 'qmax': '2'}
            return
        context.color_range, context.colorspace = LIMITED_RANGE, BT709
        context.color_primaries, context.color_trc = BT709, BT709
        context.options = {'crf': '16', 'preset': 'veryfast'}
        if self.output.format.name == 'avi':  # it has no times by which frames are put in order
            context.options |= {'bf': '0'}

    def _copy(self) -> None:
        for packet in self._packets:
            copied = self._others.get(packet.stream)
            if copied is not None and packet.dts is not None:
                packet.stream = copied
                self.output.mux(packet)
        self._packets.clear()


def _write(writing: _Writing, job: Job, outcome: Outcome) -> None:
    inspector, count = Inspector(), max(1, writing.stream.frames)

    def decode(frame: VideoFrame) -> tuple[VideoFrame, Pixels]:
        return frame, upright(frame, 'bgr')

    def infer(decoded: tuple[VideoFrame, Pixels]) -> tuple[VideoFrame, Pair, str]:
        frame, rainy = decoded
        try:
            return frame, job.pair(rainy, inspector), ''
        except DerainError as error:
            return frame, Pair(rainy, rainy, 0.0), str(error)

    def encode(result: tuple[VideoFrame, Pair, str]) -> tuple[VideoFrame, Pair, str]:
        frame, pair, problem = result
        return _encodable(frame, pair.derained, writing.video.codec_context.name), pair, problem

    stream = outcome.streams[0]
    stages = overlapped(writing.frames(), decode, infer, encode, jobs=job.jobs)
    for _, result in stages:
        assert result is not None
        frame, pair, problem = result.result()
        writing.write(frame)
        job.advance(1 / count)
        if problem:
            stream.add_passed_through(problem)
            continue
        stream.add_derained(frame.time or 0.0, pair)
    problems = [writing.damage] if writing.damage else []
    outcome.problems += problems + stream.problems(writing.source)
    if not stream.rain:
        raise DataError(outcome.problems[0])
    writing.finish()


def _encodable(source: VideoFrame, derained: Pixels, codec: str) -> VideoFrame:
    """Return a frame in the layout of the encoder, at the time of its source."""
    even = derained.shape[0] % 2 == 0 and derained.shape[1] % 2 == 0
    if codec == 'mjpeg':
        frame = _full_range(derained, even)
    else:
        frame = VideoFrame.from_ndarray(derained, format='bgr24').reformat(
            format='yuv420p' if even else 'yuv444p',
            dst_colorspace=Colorspace.ITU709,
            interpolation=EXACT,
        )
    frame.pts, frame.time_base, frame.duration = source.pts, source.time_base, source.duration
    return frame


def _full_range(pixels: Pixels, even: bool) -> VideoFrame:
    """Return a frame as JPEG has it; FFmpeg shifts colours by half a level where it converts."""
    converted = cast(Pixels, cv2.cvtColor(pixels, cv2.COLOR_BGR2YCrCb))
    luma, red, blue = (np.ascontiguousarray(converted[..., index]) for index in range(3))
    if not even:
        return VideoFrame.from_ndarray(np.stack([luma, blue, red]), format='yuvj444p')
    half = pixels.shape[1] // 2, pixels.shape[0] // 2
    chroma = [cv2.resize(plane, half, interpolation=cv2.INTER_AREA) for plane in (blue, red)]
    planes = np.concatenate([plane.ravel() for plane in (luma, *chroma)], dtype=np.uint8)
    return VideoFrame.from_ndarray(planes.reshape(-1, pixels.shape[1]), format='yuvj420p')
