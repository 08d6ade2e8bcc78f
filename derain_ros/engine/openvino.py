"""OpenVINO: the engine of machines without a GPU."""

from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
import contextlib
from pathlib import Path
import time

import numpy as np
import openvino

from derain_ros.engine.base import check_frames
from derain_ros.errors import DeadlineError, EngineError
from derain_ros.model.graph import load_graph, Order

# enough for the cameras of one car; compiled requests hold every feature map of their size
KEPT = 8


def preferred_precision(cpu: Path = Path('/proc/cpuinfo')) -> str:
    """Give ``bf16`` where the CPU multiplies in it (AMX, AVX-512 BF16), else ``f32``."""
    # OpenVINO reports BF16 for any AVX-512 CPU too, where it is emulated and slower than f32
    flags = set(cpu.read_text().split()) if cpu.exists() else set()
    return 'bf16' if flags & {'amx_bf16', 'avx512_bf16'} else 'f32'


class OpenVinoEngine:
    """
    Runs a graph on the CPU, compiled once per batch size, frame size and channel order.

    Of a new size the first frame waits for that as long as its deadline allows. Those after it do
    not wait at all: their camera goes on at its own rate.

    OpenVINO keeps whatever follows the last convolution in float32, so the subtraction, the
    clamp and the rounding are exact in bf16 as well.
    """

    name = 'openvino'
    problem = ''

    def __init__(self, model: str, precision: str | None = None) -> None:
        """
        Load the model.

        :param model: released name or path of an ONNX file.
        :param precision: ``bf16`` or ``f32``; None takes the faster one of this CPU.
        :raises ModelError: there is no such model.
        """
        self.precision = precision or preferred_precision()
        self._core = openvino.Core()
        self._graphs = {
            order: self._core.read_model(load_graph(model, order).SerializeToString())
            for order in ('bgr', 'rgb')
        }
        self._compiler = ThreadPoolExecutor(max_workers=1)
        self._requests: OrderedDict[tuple, Future[openvino.InferRequest]] = OrderedDict()

    def infer(
        self, frames: np.ndarray, out: np.ndarray, order: Order, timeout: float | None = None
    ) -> None:
        """De-rain a batch, as ``Engine.infer`` says."""
        check_frames(frames, out)
        end = None if timeout is None else time.monotonic() + timeout
        # held until the request is done: OpenVINO shares its memory without owning it
        contiguous = np.ascontiguousarray(frames)
        try:
            request = self._request(frames.shape, order, timeout)
            request.set_input_tensor(openvino.Tensor(contiguous, shared_memory=True))
            request.set_output_tensor(openvino.Tensor(out, shared_memory=True))
            request.start_async()
            if end is None:
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

    def _request(
        self, shape: tuple[int, ...], order: Order, timeout: float | None
    ) -> openvino.InferRequest:
        key = (*shape, order)
        if key not in self._requests:
            self._requests[key] = self._compiler.submit(self._compile, shape, order)
            if len(self._requests) > KEPT:
                self._requests.popitem(last=False)[1].cancel()
        elif timeout is not None:
            timeout = 0
        self._requests.move_to_end(key)
        try:
            return self._requests[key].result(timeout)
        except FutureTimeout as error:
            raise DeadlineError(
                f'{shape[2]}x{shape[1]}: the network is still being compiled for the first images '
                'of this size'
            ) from error
        except Exception:
            del self._requests[key]  # the next image may find more memory
            raise

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
