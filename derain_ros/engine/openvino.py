"""OpenVINO: the engine of machines without a GPU."""

from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
import contextlib
from pathlib import Path
import time
from typing import get_args

import numpy as np
import openvino

from derain_ros.engine.base import Engine
from derain_ros.engine.checks import check_frames
from derain_ros.errors import DeadlineError, EngineError
from derain_ros.lru import RecentlyUsed
from derain_ros.model.graph import load_graph
from derain_ros.order import Order

# enough for the cameras of one car; compiled requests hold every feature map of their size
MOST_SIZES = 8


def preferred_precision(cpu: Path = Path('/proc/cpuinfo')) -> str:
    """Return ``bf16`` where the CPU multiplies in it (AMX, AVX-512 BF16), else ``f32``."""
    # OpenVINO reports BF16 for any AVX-512 CPU too, where it is emulated and slower than f32
    flags = set(cpu.read_text().split()) if cpu.exists() else set()
    return 'bf16' if flags & {'amx_bf16', 'avx512_bf16'} else 'f32'


# batch, height, width, channels, order
Key = tuple[int | str, ...]


class OpenVinoEngine(Engine):
    """
    Runs a graph on the CPU, compiled once per batch size, frame size and channel order.

    The first frame of a new size waits for compilation, up to its deadline. Those after it do
    not wait at all: their camera goes on at its own rate.

    OpenVINO keeps whatever follows the last convolution in float32, so the subtraction, the
    clamp and the rounding are exact in bf16 as well.
    """

    name = 'openvino'
    precision = ''
    problem = ''

    def __init__(self, model: str, precision: str | None = None) -> None:
        """
        Load the model.

        :param model: released name or path of an ONNX file.
        :param precision: ``bf16`` or ``f32``; None takes the faster one of this CPU.
        :raises ModelError: there is no such model, or it is damaged.
        """
        self.precision = precision or preferred_precision()
        self._core = openvino.Core()
        self._closed = False
        self._graphs = {
            order: self._core.read_model(load_graph(model, order).SerializeToString())
            for order in get_args(Order)
        }
        # the end of the process waits for a compilation under way: OpenVINO cannot interrupt
        # one, and crashes where its thread is lost
        self._compiler = ThreadPoolExecutor(max_workers=1, thread_name_prefix='compile')
        self._requests: RecentlyUsed[Key, Future[openvino.InferRequest]] = RecentlyUsed()

    def infer(
        self, frames: np.ndarray, out: np.ndarray, order: Order, timeout: float | None = None
    ) -> None:
        """De-rain a batch, as ``Engine.infer`` says."""
        if self._closed:
            raise EngineError('the engine is closed')
        check_frames(frames, out)
        end = None if timeout is None else time.monotonic() + timeout
        # held until the request is done: OpenVINO shares its memory without owning it
        contiguous = np.ascontiguousarray(frames)
        try:
            request = self._request(frames.shape, order, timeout)
            request.set_input_tensor(openvino.Tensor(contiguous, shared_memory=True))
            request.set_output_tensor(openvino.Tensor(out, shared_memory=True))
            request.start_async()
            if end is None or timeout is None:
                request.wait()
            elif not request.wait_for(max(0, round((end - time.monotonic()) * 1e3))):
                self._cancel(request)
                raise DeadlineError(
                    f'{frames.shape[2]}x{frames.shape[1]}: no result in the '
                    f'{timeout * 1e3:.0f} ms that were left of the deadline; raise it, or give '
                    'smaller images'
                )
        except RuntimeError as error:
            if isinstance(error, EngineError):
                raise
            raise EngineError(f'OpenVINO failed: {error}') from error

    def close(self) -> None:
        """
        Free the compiled requests and the thread that compiles.

        A frame in work and a compilation under way hold theirs until they are done; compilations
        that wait are cancelled.
        """
        self._closed = True
        self._compiler.shutdown(wait=False, cancel_futures=True)
        self._requests.clear()
        self._graphs.clear()

    def _request(
        self, shape: tuple[int, ...], order: Order, timeout: float | None
    ) -> openvino.InferRequest:
        key = (*shape, order)
        compiled = self._requests.get(key)
        if compiled is None:
            compiled = self._compiler.submit(self._compile, shape, order)
            self._requests.put(key, compiled)
            self._evict()
        elif timeout is not None:
            timeout = 0
        try:
            return compiled.result(timeout)
        except CancelledError as error:
            raise EngineError('the engine is closed') from error
        except FutureTimeout as error:
            raise DeadlineError(
                f'{shape[2]}x{shape[1]}: the network is still being compiled for the first images '
                'of this size'
            ) from error
        except Exception:
            self._requests.pop(key)  # the next image may find more memory
            raise

    def _evict(self) -> None:
        while len(self._requests) > MOST_SIZES:
            evicted = self._requests.pop(self._requests.oldest()[0])
            if evicted is not None:
                evicted.cancel()

    def _compile(self, shape: tuple[int, ...], order: Order) -> openvino.InferRequest:
        graph = self._graphs[order].clone()
        graph.reshape(list(shape))
        compiled = self._core.compile_model(
            graph,
            'CPU',
            {'INFERENCE_PRECISION_HINT': self.precision, 'PERFORMANCE_HINT': 'LATENCY'},
        )
        return compiled.create_infer_request()

    @staticmethod
    def _cancel(request: openvino.InferRequest) -> None:
        """Stop a request and wait until it no longer writes into the caller's buffer."""
        request.cancel()
        with contextlib.suppress(RuntimeError):  # the cancellation itself
            request.wait()
