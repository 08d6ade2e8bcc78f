"""The protocol of the inference engines."""

from types import TracebackType
from typing import Protocol, TypeVar

import numpy as np

from derain_ros.order import Order

Self = TypeVar('Self')


class Log(Protocol):
    """Where to say what runs; the loggers of ROS and of Python both do."""

    def info(self, message: str, /) -> object: ...

    def warning(self, message: str, /) -> object: ...


class Engine(Protocol):
    """
    A network ready to run, and a context manager that closes it.

    One thread at a time calls ``infer``; any thread may read the properties and call ``close``.
    """

    @property
    def name(self) -> str:
        """What runs the network, such as ``openvino``."""

    @property
    def precision(self) -> str:
        """What the network runs in, such as ``bf16``."""

    @property
    def problem(self) -> str:
        """Why a faster engine is not what runs; empty where nothing is wrong."""

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
        :raises EngineError: anything else that leaves the caller without a result, such as a
            closed engine.
        """

    def close(self) -> None:
        """Free what the engine holds, soon; calling it again does nothing."""

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
