"""The protocol of the inference engines, and the check of what they are given."""

from typing import Protocol

import numpy as np

from derain_ros.errors import EngineError
from derain_ros.model.graph import Order

SMALLEST = 16


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

    def infer(
        self, frames: np.ndarray, out: np.ndarray, order: Order, timeout: float | None = None
    ) -> None:
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
        raise EngineError(
            f'frames of {frames.shape[2]}x{frames.shape[1]} are below '
            f'{SMALLEST}x{SMALLEST}, the smallest that can be de-rained'
        )
    if not out.flags.c_contiguous:
        raise EngineError('out is not C-contiguous, so it cannot be written in place')
