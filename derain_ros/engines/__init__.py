"""Engines: what runs the network in the car, one runtime per file behind one protocol."""
from typing import Protocol

import numpy as np

from derain_ros.graph import Order

SMALLEST = 16


class EngineError(RuntimeError):
    """The engine gave no result; the message says why. What it was to write is undefined."""


class DeadlineError(EngineError):
    """The result was not there in time."""


class Engine(Protocol):
    """A network ready to run. One thread calls it."""

    name: str
    precision: str

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


def create_engine(name: str, model: str) -> Engine:
    """
    Create the engine of the given name; ``auto`` takes the best that runs on this machine.

    :raises EngineError: the name is unknown, or the runtime is not installed.
    :raises ModelError: there is no such model.
    """
    if name not in ('auto', 'openvino'):
        raise EngineError(f"engine '{name}' is unknown; known are auto, openvino")
    try:
        from derain_ros.engines.openvino import OpenVinoEngine
    except ImportError as error:
        raise EngineError(f"engine 'openvino' is not installed ({error}); "
                          'pip install -r requirements/runtime.txt') from error
    return OpenVinoEngine(model)
