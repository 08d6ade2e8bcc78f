"""The engine of a machine with a GPU: on the CPU at once, on TensorRT as soon as it is built."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
import threading
import time
from typing import Protocol
import weakref

import numpy as np

from derain_ros.engine.base import check_frames, Engine, Log
from derain_ros.engine.tensorrt.api import load_tensorrt
from derain_ros.engine.tensorrt.build_process import BuildProcess
from derain_ros.engine.tensorrt.cuda import first_gpu
from derain_ros.engine.tensorrt.graph import Size
from derain_ros.errors import DeadlineError, EngineError
from derain_ros.model.graph import Order

# as many as there are cameras in a car; each engine holds its feature maps on the GPU
KEPT = 8
# seconds
FIRST_BACKOFF, DOUBLINGS, LONGEST_BACKOFF = 10.0, 6, 600.0
# seconds without a frame after which a frame size is no camera's any more
FORGOTTEN = 60.0
# a GPU that hangs misses every deadline; one that is busy, some
MISSES = 10


class ClosableEngine(Engine, Protocol):
    """An engine that holds something on the GPU."""

    def close(self) -> None:
        """Wait for the frame in work, and give it back."""


@dataclass
class Accelerator:
    """The TensorRT engine for one frame size and order, and how it fares."""

    engine: ClosableEngine | None = None
    awaited: bool = False
    failures: int = 0
    misses: int = 0
    late: bool = False
    retry_at: float = float('-inf')
    used_at: float = float('-inf')
    problem: str = ''

    def dispose(self, wanted: SimpleQueue) -> None:
        """Have the engine closed in the background, because a GPU that hangs lets nobody go."""
        if self.engine is not None:
            wanted.put(self.engine)
            self.engine = None


class AutoEngine:
    """
    Runs frames on TensorRT where that is ready, and on the CPU where it is not.

    The first frame of a size and order starts a build in the background; the engine is taken up
    between two frames. If TensorRT fails, the frame is run again on the CPU, and TensorRT is
    loaded again after a pause, twice as long after each failure without a success between.
    """

    def __init__(
        self,
        cpu: Engine,
        obtain: Callable[[Size, Order], ClosableEngine],
        log: Log,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Start the background thread.

        :param cpu: runs every frame that TensorRT does not.
        :param obtain: builds and loads a TensorRT engine, however long that takes, or raises
            EngineError; called on the background thread.
        """
        self._cpu, self._log, self._clock = cpu, log, clock
        self._used: Engine = cpu
        self._accelerators: OrderedDict[tuple[Size, Order], Accelerator] = OrderedDict()
        self._wanted: SimpleQueue = SimpleQueue()
        self._obtained: SimpleQueue = SimpleQueue()
        threading.Thread(
            target=_work, args=(obtain, self._wanted, self._obtained), name='tensorrt', daemon=True
        ).start()
        # the end of the process closes none, as it waits for no GPU
        weakref.finalize(self, _end, self._accelerators, self._wanted).atexit = False

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
        recent = self._clock() - FORGOTTEN
        return '; '.join(
            accelerator.problem
            for accelerator in list(self._accelerators.values())
            if accelerator.problem and accelerator.used_at > recent
        )

    def infer(
        self, frames: np.ndarray, out: np.ndarray, order: Order, timeout: float | None = None
    ) -> None:
        """De-rain a batch, as ``Engine.infer`` says."""
        check_frames(frames, out)
        start = self._clock()
        accelerator = self._accelerator(frames, order)
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
                if accelerator.misses == (1 if accelerator.late else MISSES):
                    accelerator.late = True
                    self._give_up(accelerator, error)
                raise
            except EngineError as error:
                self._give_up(accelerator, error)
        self._used = self._cpu
        left = None if timeout is None else max(0.0, timeout - (self._clock() - start))
        self._cpu.infer(frames, out, order, left)

    def _accelerator(self, frames: np.ndarray, order: Order) -> Accelerator:
        self._take_up()
        key = Size(*frames.shape[:3]), order
        accelerator = self._accelerators.setdefault(key, Accelerator())
        self._accelerators.move_to_end(key)
        accelerator.used_at = self._clock()
        if len(self._accelerators) > KEPT:
            self._accelerators.popitem(last=False)[1].dispose(self._wanted)
        if (
            accelerator.engine is None
            and not accelerator.awaited
            and self._clock() >= accelerator.retry_at
        ):
            accelerator.awaited = True
            self._wanted.put(key)
        return accelerator

    def _take_up(self) -> None:
        """Take what the background thread has ready."""
        while True:
            try:
                key, result = self._obtained.get_nowait()
            except Empty:
                return
            accelerator = self._accelerators.get(key)
            if accelerator is None:
                continue
            accelerator.awaited = False
            if isinstance(result, Exception):
                self._give_up(accelerator, result)
            else:
                accelerator.engine = result
                (batch, height, width), order = key
                self._log.info(
                    f'{batch} x {width}x{height} {order} now on {result.name} ({result.precision})'
                )

    def _give_up(self, accelerator: Accelerator, error: Exception) -> None:
        pause = min(FIRST_BACKOFF * 2 ** min(accelerator.failures, DOUBLINGS), LONGEST_BACKOFF)
        accelerator.dispose(self._wanted)
        accelerator.misses = 0
        accelerator.failures += 1
        accelerator.retry_at = self._clock() + pause
        accelerator.problem = f'on {self._cpu.name}, TensorRT again in {pause:.0f} s: {error}'
        self._log.warning(accelerator.problem)


def _end(accelerators: dict[tuple[Size, Order], Accelerator], wanted: SimpleQueue) -> None:
    for accelerator in accelerators.values():
        accelerator.dispose(wanted)
    wanted.put(None)


def _work(
    obtain: Callable[[Size, Order], ClosableEngine], wanted: SimpleQueue, obtained: SimpleQueue
) -> None:
    while (key := wanted.get()) is not None:
        if not isinstance(key, tuple):
            key.close()
            del key  # else it is held until the next one
            continue
        try:
            obtained.put((key, obtain(*key)))
        except Exception as error:  # whatever it was, the CPU goes on and there is a next time
            obtained.put((key, error))


def accelerate(cpu: Engine, model: str, log: Log) -> AutoEngine:
    """
    Put a GPU before the engine of the CPU.

    :raises EngineError: this machine has no GPU, or no TensorRT to use it.
    """
    gpu, tensorrt = first_gpu(), load_tensorrt()
    log.info(
        f'runs on {cpu.name} ({cpu.precision}) until {tensorrt.flavour} {tensorrt.version} '
        f'on {gpu.name} is ready'
    )
    builds = BuildProcess(model, log)
    engine = AutoEngine(cpu, builds, log)
    weakref.finalize(engine, builds.close)
    return engine
