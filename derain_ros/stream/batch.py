"""From the images in work to their results: decode, infer, check, settle."""

import time
from typing import cast, NamedTuple

import cv2
import numpy as np

from derain_ros.engine.base import Engine
from derain_ros.errors import DeadlineError, EngineError
from derain_ros.image.raw import Frame, Pixels
from derain_ros.stream.fates import Fate
from derain_ros.stream.policy import Action, DRY, UNBOUNDED
from derain_ros.stream.stream import Job

# A miss that took less than this share of the deadline was not the engine's slowness: it said at
# once that it is not ready.
MISS_SHARE = 0.5


class Opened(NamedTuple):
    """An image that is ready to be inferred, and the array for its result."""

    job: Job
    frame: Frame
    target: Pixels

    @property
    def layout(self) -> tuple[object, ...]:
        """What frames of one batch have in common."""
        return (*self.frame.pixels.shape, self.frame.order)


def serve(engine: Engine, jobs: list[Job]) -> None:
    """
    Take a batch of images to their fates.

    :param jobs: one image each of several streams, of one kind.
    """
    opened = [one for one in map(_open, jobs) if one is not None]
    try:
        if len(opened) > 1 and len({one.layout for one in opened}) == 1:
            _infer(engine, opened)
            return
    except DeadlineError:  # that was for all of them
        return
    except Exception:  # what is wrong with the image of one camera shall not harm the others
        opened = [one for one in opened if one.job.needs_result]
    for one in opened:
        _infer_alone(engine, one)


def _open(job: Job) -> Opened | None:
    """Decide on an image, and decode it if it is to be de-rained."""
    stream, codec = job.stream, job.stream.codec
    action, reason = stream.policy.decide(job.received_at, time.monotonic())
    if action is not Action.DERAIN and not job.is_look:
        fate = Fate.BYPASSED if action is Action.BYPASS else Fate.PASSED_THROUGH
        job.pass_through(reason, fate=fate)
        return None
    try:
        frame = codec.read(job.message)
        stamp = job.message.header.stamp
        stream.state.advance(frame.pixels.shape, frame.order, stamp.sec + stamp.nanosec * 1e-9)
        return Opened(job, frame, codec.prepare(frame))
    except Exception as error:  # whatever it was, the next image gets its chance
        job.pass_through(_reason(error))
        return None


def _infer_alone(engine: Engine, one: Opened) -> None:
    started_at = time.monotonic()
    try:
        # from message to message, without a copy
        engine.infer(
            one.frame.pixels[None], one.target[None], one.frame.order, _left_s([one], started_at)
        )
    except Exception as error:  # whatever it was, the next image gets its chance
        _miss(one, _reason(error), started_at)
    else:
        _finish(one, time.monotonic() - started_at)


def _infer(engine: Engine, batch: list[Opened]) -> None:
    """
    Infer several frames at once.

    :raises DeadlineError: there was no result in time; the images are settled.
    :raises EngineError: there was no result.
    """
    started_at = time.monotonic()
    frames = np.stack([one.frame.pixels for one in batch])
    out = np.empty_like(frames)
    try:
        engine.infer(frames, out, batch[0].frame.order, _left_s(batch, started_at))
    except DeadlineError as error:
        for one in batch:
            _miss(one, _reason(error), started_at)
        raise
    inference_s = time.monotonic() - started_at
    for one, result in zip(batch, out, strict=True):
        np.copyto(one.target, result)
        _finish(one, inference_s)


def _left_s(batch: list[Opened], now: float) -> float:
    return max(0.0, min(one.job.due_at for one in batch) - now)


def _miss(one: Opened, reason: str, started_at: float) -> None:
    now, policy = time.monotonic(), one.job.stream.policy
    if one.job.is_look:
        policy.gate.open(now)
    if now - started_at >= MISS_SHARE * policy.deadline_s:
        policy.note_miss(now)
    one.job.pass_through(reason)


def _finish(one: Opened, inference_s: float) -> None:
    """Inspect a result and publish it, if its image has not left already."""
    job, stream, now = one.job, one.job.stream, time.monotonic()
    if not job.needs_result:
        stream.policy.note_miss(now)
        return
    stream.policy.note_success()
    try:
        job.inference_s = inference_s
        job.inspection = stream.inspector.inspect(one.frame.pixels, one.target)
        if job.inspection.problem:
            raise EngineError(f'the result is not plausible: {job.inspection.problem}')
        is_dry = stream.policy.gate.note_rain(job.inspection.rain, now)
        if job.is_look:
            stream.report_look(job)
            return
        if is_dry:
            job.pass_through(DRY, fate=Fate.BYPASSED)
            return
        if stream.policy.max_change < UNBOUNDED:
            bounded(one.frame.pixels, one.target, stream.policy.max_change, out=one.target)
        message = stream.codec.finish(job.message, one.frame, one.target)
    except Exception as error:
        if job.is_look:  # so that the next image says what is wrong
            stream.policy.gate.open(now)
        job.pass_through(_reason(error))
    else:
        stream.settle(job, Fate.DERAINED, message, '')


def bounded(
    rainy: Pixels, derained: Pixels, grey_levels: int, out: Pixels | None = None
) -> Pixels:
    """
    Return a result, each of whose samples lies within so many grey levels of the input.

    :param rainy, derained: uint8 [H, W, 3]; ``out``, if it is given, receives the result.
    """
    levels = np.full(4, grey_levels, np.float64)  # OpenCV's scalar, of up to four channels
    lowest, highest = cv2.subtract(rainy, levels), cv2.add(rainy, levels)
    result = cv2.min(cv2.max(derained, lowest), highest, dst=out)
    return cast(Pixels, result)


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
