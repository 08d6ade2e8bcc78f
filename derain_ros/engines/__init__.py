"""Engines: what runs the network in the car, one runtime per file behind one protocol."""
import logging
from typing import Protocol

import numpy as np

from derain_ros.graph import Order

SMALLEST = 16

_log = logging.getLogger(__name__)


class EngineError(RuntimeError):
    """The engine gave no result; the message says why. What it was to write is undefined."""


class DeadlineError(EngineError):
    """The result was not there in time."""


class Log(Protocol):
    """Where to say what runs; the loggers of ROS and of Python both do."""

    def info(self, message: str) -> None: ...

    def warning(self, message: str) -> None: ...


class Engine(Protocol):
    """
    A network ready to run. One thread calls it.

    ``problem`` says why a faster engine is not what runs, and is empty where nothing is wrong.
    """

    name: str
    precision: str
    problem: str

    def infer(self, frames: np.ndarray, out: np.ndarray, order: Order,
              timeout: float | None = None) -> None:
        """
        De-rain a batch.

        :param frames: uint8 [N, H, W, 3], H and W at least 16; left as it is.
        :param out: uint8 [N, H, W, 3], C-contiguous; receives the de-rained frames.
        :param order: channel order of both.
        :param timeout: seconds after which the caller no longer wants the result.
        :raises DeadlineError: the timeout ran out.
        :raises EngineError: anything else that leaves the caller without a result.
        """


def check_frames(frames: np.ndarray, out: np.ndarray) -> None:
    """
    Check what ``Engine.infer`` was given.

    :raises EngineError: shapes or dtypes are not those of the protocol.
    """
    for name, array in (('frames', frames), ('out', out)):
        if array.dtype != np.uint8 or array.ndim != 4 or array.shape[3] != 3:
            raise EngineError(f'{name} is {array.dtype} {array.shape}, not uint8 [N, H, W, 3]')
    if frames.shape != out.shape:
        raise EngineError(f'frames are {frames.shape}, but out is {out.shape}')
    if min(frames.shape[1:3]) < SMALLEST:
        raise EngineError(f'frames of {frames.shape[2]}x{frames.shape[1]} are below '
                          f'{SMALLEST}x{SMALLEST}, the smallest that can be de-rained')
    if not out.flags.c_contiguous:
        raise EngineError('out is not C-contiguous, so it cannot be written in place')


def create_engine(name: str, model: str, log: Log = _log) -> Engine:
    """
    Create the engine of the given name.

    ``auto`` is TensorRT where there is a GPU, on the CPU until its engine is built; elsewhere the
    CPU. ``tensorrt`` is the same, but demands the GPU. ``openvino`` is the CPU.

    :param log: is told what runs and why.
    :raises EngineError: the name is unknown, or what it names cannot run on this machine.
    :raises ModelError: there is no such model.
    """
    if name not in ('auto', 'tensorrt', 'openvino'):
        raise EngineError(f"engine '{name}' is unknown; known are auto, tensorrt, openvino")
    try:
        from derain_ros.engines.openvino import OpenVinoEngine
    except ImportError as error:
        raise EngineError(f"engine 'openvino' is not installed ({error}); "
                          'pip install -r requirements/runtime.txt') from error
    cpu = OpenVinoEngine(model)
    if name == 'openvino':
        return cpu
    try:
        from derain_ros.engines.auto import accelerate
        return accelerate(cpu, model, log)
    except EngineError as error:
        if name == 'tensorrt':
            raise EngineError(f"engine 'tensorrt': {error}") from error
        log.info(f'runs on {cpu.name} ({cpu.precision}): {error}')
        return cpu
