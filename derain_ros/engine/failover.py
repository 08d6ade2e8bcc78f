"""The engine of a machine with a GPU: on the CPU at once, on TensorRT as soon as it is built."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
import logging
from queue import Empty, SimpleQueue
import time
from typing import Protocol

import numpy as np

from derain_ros.engine.base import Engine, Log
from derain_ros.engine.checks import check_frames
from derain_ros.engine.tensorrt.graph import Size
from derain_ros.engine.worker import Worker
from derain_ros.errors import DeadlineError, EngineError
from derain_ros.lru import RecentlyUsed
from derain_ros.order import Order

# as many as there are cameras in a car; each engine holds its feature maps on the GPU
MOST_ENGINES = 8
FIRST_PAUSE_S, DOUBLINGS, LONGEST_PAUSE_S = 10.0, 6, 600.0
# after so long without a frame, a frame size is no camera's any more
FORGOTTEN_S = 60.0
# and after so long its engine is freed; it is in the cache, and loaded again within seconds
UNUSED_S = 600.0
# TensorRT needs minutes to time its kernels on a small GPU; a build beyond this is a problem
SLOW_BUILD_S = 900.0
# A GPU that hangs misses every deadline; one that is busy, some. Fewer than the misses after which
# a stream leaves its engine alone (stream/policy.py), so that the CPU gets its chance first.
MOST_MISSES = 3


class Builder(Protocol):
    """Builds and loads TensorRT engines."""

    def build(self, size: Size, order: Order) -> Engine:
        """
        Build and load an engine, however long that takes; called on a thread of its own.

        :raises EngineError: it cannot be built or loaded, or the builder is closed.
        """

    def close(self) -> None:
        """End a build that is under way and refuse new ones; return at once."""


@dataclass(frozen=True)
class Camera:
    """What an engine is built for: frames of one batch size, frame size and channel order."""

    size: Size
    order: Order

    def __str__(self) -> str:
        return f'{self.size.batch} x {self.size.width}x{self.size.height} {self.order}'


@dataclass
class Accelerator:
    """The TensorRT engine of a camera, and how it fares; times are those of the clock."""

    engine: Engine | None = None
    asked_at: float | None = None
    failures: int = 0
    misses: int = 0
    late: bool = False
    retry_at: float = float('-inf')
    problem: str = ''


class AutoEngine(Engine):
    """
    Runs frames on TensorRT where that is ready, and on the CPU where it is not.

    The first frame of a camera starts a build in the background; the engine is taken up between
    two frames. If TensorRT fails, the frame is run again on the CPU, and TensorRT is loaded again
    after a pause, twice as long after each failure without a success between. Engines are built
    on one thread and closed on another: on a GPU that hangs, closing may never return.
    """

    def __init__(
        self,
        cpu: Engine,
        builder: Builder,
        log: Log,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Start the background threads.

        :param cpu: runs every frame that TensorRT does not; closed with this engine.
        :param builder: builds the engines of TensorRT; closed with this engine, too.
        """
        self._cpu, self._builder, self._log, self._clock = cpu, builder, log, clock
        self._used: Engine = cpu
        self._closed = False
        self._accelerators: RecentlyUsed[Camera, Accelerator] = RecentlyUsed(clock)
        self._obtained: SimpleQueue[tuple[Camera, Engine | Exception]] = SimpleQueue()
        self._builds: Worker[Camera] = Worker('build', self._build)
        self._closings: Worker[Engine] = Worker('close', _close)

    @property
    def name(self) -> str:
        """What ran the last frame."""
        return self._used.name

    @property
    def precision(self) -> str:
        """What the last frame ran in."""
        return self._used.precision

    @property
    def problem(self) -> str:
        """Why frames of the last minute are not on TensorRT; empty while it is being built."""
        now = self._clock()
        recent = self._accelerators.values(within_s=FORGOTTEN_S)
        slow = [
            f'on {self._cpu.name}: a TensorRT engine has been under way for '
            f'{now - accelerator.asked_at:.0f} s'
            for accelerator in recent
            if accelerator.asked_at is not None and now - accelerator.asked_at > SLOW_BUILD_S
        ]
        return '; '.join([a.problem for a in recent if a.problem] + slow)

    def infer(
        self, frames: np.ndarray, out: np.ndarray, order: Order, timeout: float | None = None
    ) -> None:
        """De-rain a batch, as ``Engine.infer`` says."""
        if self._closed:
            raise EngineError('the engine is closed')
        check_frames(frames, out)
        start = self._clock()
        accelerator = self._accelerator(Camera(Size(*frames.shape[:3]), order))
        if accelerator.engine is not None:
            self._used = accelerator.engine
            try:
                accelerator.engine.infer(frames, out, order, timeout)
                accelerator.failures = accelerator.misses = 0
                accelerator.late, accelerator.problem = False, ''
                return
            except DeadlineError as error:
                accelerator.misses += 1
                # one that was too slow when last loaded needs no second proof
                if accelerator.misses == (1 if accelerator.late else MOST_MISSES):
                    accelerator.late = True
                    self._give_up(accelerator, error)
                raise
            except EngineError as error:
                self._give_up(accelerator, error)
        self._used = self._cpu
        left = None if timeout is None else max(0.0, timeout - (self._clock() - start))
        self._cpu.infer(frames, out, order, left)

    def close(self) -> None:
        """Free all engines. Those of the GPU are closed in the background; this waits for none."""
        if self._closed:
            return
        self._closed = True
        self._builder.close()
        self._builds.stop()
        for accelerator in self._accelerators.values():
            self._dispose(accelerator)
        self._close_obtained()
        self._cpu.close()

    def _accelerator(self, camera: Camera) -> Accelerator:
        self._take_up()
        accelerator = self._accelerators.get(camera)
        if accelerator is None:
            accelerator = Accelerator()
            self._accelerators.put(camera, accelerator)
        now = self._clock()
        self._evict()
        if (
            accelerator.engine is None
            and accelerator.asked_at is None
            and now >= accelerator.retry_at
        ):
            accelerator.asked_at = now
            self._builds.submit(camera)
        return accelerator

    def _evict(self) -> None:
        while len(self._accelerators) > 1:
            camera, unused_s = self._accelerators.oldest()
            if len(self._accelerators) <= MOST_ENGINES and unused_s < UNUSED_S:
                return
            evicted = self._accelerators.pop(camera)
            if evicted is not None:
                self._dispose(evicted)

    def _build(self, camera: Camera) -> None:
        """Build an engine on the building thread; the next frame takes up what comes of it."""
        try:
            self._obtained.put((camera, self._builder.build(camera.size, camera.order)))
        except Exception as error:  # whatever it was, the CPU goes on and there is a next time
            self._obtained.put((camera, error))
        if self._closed:
            self._close_obtained()

    def _take_up(self) -> None:
        """Take what the building thread has ready."""
        with suppress(Empty):
            while True:
                camera, result = self._obtained.get_nowait()
                accelerator = self._accelerators.peek(camera)
                if accelerator is None:
                    if not isinstance(result, Exception):
                        self._closings.submit(result)
                    continue
                accelerator.asked_at = None
                if isinstance(result, Exception):
                    self._give_up(accelerator, result)
                else:
                    accelerator.engine = result
                    self._log.info(f'{camera} now on {result.name} ({result.precision})')

    def _give_up(self, accelerator: Accelerator, error: Exception) -> None:
        pause = min(FIRST_PAUSE_S * 2 ** min(accelerator.failures, DOUBLINGS), LONGEST_PAUSE_S)
        self._dispose(accelerator)
        accelerator.misses = 0
        accelerator.failures += 1
        accelerator.retry_at = self._clock() + pause
        accelerator.problem = f'on {self._cpu.name}, TensorRT again in {pause:.0f} s: {error}'
        self._log.warning(accelerator.problem)

    def _dispose(self, accelerator: Accelerator) -> None:
        engine, accelerator.engine = accelerator.engine, None
        if engine is not None:
            self._closings.submit(engine)

    def _close_obtained(self) -> None:
        """Close what was built for nobody any more."""
        with suppress(Empty):
            while True:
                result = self._obtained.get_nowait()[1]
                if not isinstance(result, Exception):
                    self._closings.submit(result)


def _close(engine: Engine) -> None:
    try:
        engine.close()
    except Exception:
        logging.getLogger(__name__).exception('%s could not be closed', engine.name)
