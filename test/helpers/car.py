"""A car with a GPU that does as the test says, for what TensorRT and the CPU do in turn."""

from queue import SimpleQueue
from threading import Event
import time

import numpy as np
import pytest

from derain_ros.engine.base import Engine
from derain_ros.engine.failover import AutoEngine, MOST_MISSES
from derain_ros.engine.tensorrt.graph import Size
from derain_ros.errors import DeadlineError, EngineError


class Painter(Engine):
    """An engine that fills frames with one grey, or raises what it is told to."""

    name, precision, problem = '', 'u8', ''

    def __init__(self, name: str, grey: int) -> None:
        self.name, self.grey = name, grey
        self.error: EngineError | None = None
        self.closed = Event()

    def close(self) -> None:
        self.closed.set()

    def infer(self, frames, out, order, timeout=None) -> None:
        out[:] = self.grey
        if self.error is not None:
            raise self.error


class Records:
    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def info(self, message: str) -> None:
        self.lines.append(('info', message))

    def warning(self, message: str) -> None:
        self.lines.append(('warning', message))


class Car:
    """An AutoEngine whose builds end when the test says, on a clock that the test turns."""

    def __init__(self) -> None:
        self.now = 0.0
        self.log = Records()
        self.asked: list[tuple[Size, str]] = []
        self.builds: SimpleQueue[Engine | Exception] = SimpleQueue()
        self.cpu = Painter('openvino', 1)
        self.engine = AutoEngine(self.cpu, self, self.log, clock=lambda: self.now)

    def build(self, size: Size, order: str) -> Engine:
        self.asked.append((size, order))
        result = self.builds.get()
        if isinstance(result, Exception):
            raise result
        return result

    def close(self) -> None:
        """End the build under way."""
        self.builds.put(EngineError('the engine is closed'))

    def drive(self, shape: tuple[int, int] = (48, 64), order: str = 'bgr') -> int:
        """Run one frame and give the grey it came out in."""
        out = np.zeros((1, *shape, 3), np.uint8)
        self.engine.infer(np.zeros_like(out), out, order, timeout=1.0)
        assert (out == out[0, 0, 0, 0]).all()
        return int(out[0, 0, 0, 0])

    def drive_until(self, grey: int, *camera: object) -> None:
        """Drive on until frames come out in a grey; the background thread takes its time."""
        end = time.monotonic() + 10
        while self.drive(*camera) != grey:
            assert time.monotonic() < end, self.log.lines
            time.sleep(0.001)

    def change_over(self) -> Painter:
        """Let TensorRT be built and run; it paints 2."""
        tensorrt = Painter('tensorrt', 2)
        self.builds.put(tensorrt)
        self.drive_until(2)
        return tensorrt

    def miss_deadlines(self, tensorrt: Painter) -> None:
        """Let TensorRT be late until it is given up."""
        tensorrt.error = DeadlineError('the GPU gave no result in time')
        for _ in range(MOST_MISSES):
            with pytest.raises(DeadlineError):
                self.drive()

    def drive_until_problem(self, text: str) -> None:
        """Drive on the CPU until the engine reports a problem."""
        end = time.monotonic() + 10
        while text not in self.engine.problem:
            assert self.drive() == self.cpu.grey
            assert time.monotonic() < end, self.log.lines
            time.sleep(0.001)
