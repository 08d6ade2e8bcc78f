"""A GPU and a TensorRT that exist in memory only: enough of both for the engine to run."""

from collections.abc import Callable
import ctypes
from types import SimpleNamespace
from typing import Any

from cuda.bindings import runtime
import numpy as np

from derain_ros.engine.tensorrt.api import TensorRt

DONE = runtime.cudaError_t.cudaSuccess
BUSY = runtime.cudaError_t.cudaErrorNotReady
REFUSED = runtime.cudaError_t.cudaErrorStreamCaptureUnsupported


class FakeGpu:
    """
    The calls of ``cuda.bindings.runtime`` that the engine makes; work is done at once.

    :param hangs: no work is ever done with.
    :param held: what is allocated and not freed.
    """

    def __init__(self) -> None:
        self.hangs = self.refuses_capture = False
        self.held: dict[object, object] = {}
        self.capture: list[Callable[[], object]] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(runtime, name)  # flags and kinds

    def work(self, job: Callable[[], object]) -> None:
        """Do a job, or note it where a graph is being recorded."""
        job() if self.capture is None else self.capture.append(job)

    def _hold(self, key: object, value: object) -> tuple[Any, object]:
        self.held[key] = value
        return DONE, key

    def _free(self, key: object) -> tuple[Any]:
        assert not self.hangs, 'CUDA would block here'
        del self.held[key]
        return (DONE,)

    def _allocate(self, size: int, flags: int = 0) -> tuple[Any, object]:
        memory = (ctypes.c_uint8 * size)()
        return self._hold(ctypes.addressof(memory), memory)

    cudaMalloc = cudaHostAlloc = _allocate  # noqa: N815  CUDA's own names, here and below
    cudaFree = cudaFreeHost = cudaStreamDestroy = _free  # noqa: N815
    cudaGraphDestroy = cudaGraphExecDestroy = _free  # noqa: N815

    def cudaStreamCreateWithFlags(self, flags: int) -> tuple[Any, object]:  # noqa: N802
        return self._hold(1, 'stream')

    def cudaStreamQuery(self, stream: int) -> tuple[Any]:  # noqa: N802
        assert stream in self.held, 'CUDA would end the process here'
        return (BUSY if self.hangs else DONE,)

    def cudaMemcpyAsync(self, target, source, size, kind, stream) -> tuple[Any]:  # noqa: N802
        self.work(lambda: ctypes.memmove(target, source, size))
        return (DONE,)

    def cudaStreamBeginCapture(self, stream, mode) -> tuple[Any]:  # noqa: N802
        self.capture = []
        return (DONE,)

    def cudaStreamEndCapture(self, stream) -> tuple[Any, object]:  # noqa: N802
        jobs, self.capture = self.capture, None
        return (REFUSED, None) if self.refuses_capture else self._hold('graph', jobs)

    def cudaGraphInstantiate(self, graph, flags) -> tuple[Any, object]:  # noqa: N802
        return self._hold('executable', self.held[graph])

    def cudaGraphLaunch(self, graph, stream) -> tuple[Any]:  # noqa: N802
        for job in self.held[graph]:
            job()
        return (DONE,)

    def cudaEventCreate(self) -> tuple[Any, object]:  # noqa: N802
        return DONE, 'event'

    def cudaEventRecord(self, event, stream) -> tuple[Any]:  # noqa: N802
        return (DONE,)

    def cudaEventSynchronize(self, event) -> tuple[Any]:  # noqa: N802
        return (DONE,)

    def cudaEventElapsedTime(self, start, end) -> tuple[Any, float]:  # noqa: N802
        return DONE, 1.5

    def cudaGetLastError(self) -> tuple[Any]:  # noqa: N802
        return (DONE,)


class FakeTensorRt:
    """A TensorRT whose engines turn frames into their negatives."""

    num_io_tensors = 2

    def __init__(self, gpu: FakeGpu, shape: tuple[int, ...]) -> None:
        self._gpu, self._shape = gpu, shape
        self._addresses: dict[str, int] = {}
        self.module = SimpleNamespace(
            __version__='11.0',
            ILogger=type('ILogger', (), {'WARNING': 2}),
            Runtime=lambda log: self,
            LayerInformationFormat=SimpleNamespace(ONELINE=0),
            TensorIOMode=SimpleNamespace(INPUT=0),
        )
        self.create_execution_context = self.create_engine_inspector = lambda: self

    def load(self) -> TensorRt:
        return TensorRt(self.module, 'tensorrt')

    def deserialize_cuda_engine(self, plan: bytes) -> 'FakeTensorRt | None':
        return self if plan == b'plan' else None

    def get_engine_information(self, form: int) -> str:
        return 'Name: convolution_0, LayerType: Conv, Inputs: [ { Name: a, Datatype: Half }]'

    def get_tensor_name(self, index: int) -> str:
        return ('derained', 'frames')[index]

    def get_tensor_mode(self, name: str) -> int:
        return 0 if name == 'frames' else 1

    def set_tensor_address(self, name: str, address: int) -> bool:
        self._addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        self._gpu.work(self._invert)
        return True

    def _invert(self) -> None:
        size = int(np.prod(self._shape))
        frames, derained = (
            np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(self._addresses[name]))
            for name in ('frames', 'derained')
        )
        derained[:] = 255 - frames
