"""Memory for one batch of frames on its way through the GPU."""

from contextlib import ExitStack
import ctypes
from math import prod
from typing import Any

from cuda.bindings import runtime as cuda
import numpy as np

from derain_ros.engine.tensorrt.cuda import checked


class FrameBuffers:
    """
    Pinned memory on the host and memory on the GPU, for frames in and frames out.

    :param host_input: uint8 [N, H, W, 3], to fill before ``copy_in``.
    :param host_output: the same, filled by ``copy_out``.
    :param device_input: address on the GPU, and so is ``device_output``.
    """

    def __init__(self, shape: tuple[int, int, int, int], resources: ExitStack) -> None:
        """
        Allocate.

        :param resources: frees all of it.
        :raises EngineError: there is too little memory.
        """
        self._shape, self._bytes, self._resources = shape, prod(shape), resources
        self.device_input, self.device_output = self._on_device(), self._on_device()
        self.host_input, self.host_output = self._pinned(), self._pinned()

    def copy_in(self, stream: Any) -> None:
        """Have the frames copied to the GPU, in the order of a stream."""
        self._copy(
            self.device_input,
            self.host_input.ctypes.data,
            cuda.cudaMemcpyKind.cudaMemcpyHostToDevice,
            stream,
        )

    def copy_out(self, stream: Any) -> None:
        """Have the result copied to the host, in the order of a stream."""
        self._copy(
            self.host_output.ctypes.data,
            self.device_output,
            cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost,
            stream,
        )

    def _copy(self, target: int, source: int, kind: Any, stream: Any) -> None:
        checked(cuda.cudaMemcpyAsync(target, source, self._bytes, kind, stream))

    def _on_device(self) -> int:
        address = checked(cuda.cudaMalloc(self._bytes))
        self._resources.callback(cuda.cudaFree, address)
        return int(address)

    def _pinned(self) -> np.ndarray:
        address = checked(cuda.cudaHostAlloc(self._bytes, cuda.cudaHostAllocDefault))
        self._resources.callback(cuda.cudaFreeHost, address)
        memory = (ctypes.c_uint8 * self._bytes).from_address(int(address))
        frames: np.ndarray = np.ctypeslib.as_array(memory).reshape(self._shape)
        return frames
