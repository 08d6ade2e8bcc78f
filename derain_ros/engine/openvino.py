"""OpenVINO: the engine of machines without a GPU."""

from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
import contextlib
from dataclasses import dataclass
import math
from pathlib import Path
import time
from typing import get_args

import numpy as np
import openvino

from derain_ros.engine.base import Engine
from derain_ros.engine.checks import check_frames
from derain_ros.errors import DeadlineError, EngineError
from derain_ros.lru import RecentlyUsed
from derain_ros.model.graph import feature_values_per_pixel, load_graph
from derain_ros.order import Order

# compiled requests hold the feature maps of their size: fast needs 0.35 GB for 1920x1080 in bf16
MOST_BYTES = 2 * 2**30
# one that was used within this time is a camera's, and kept even beyond MOST_BYTES: to compile
# it again for every image would cost all of them
IN_USE_S = 2.0
# one that was not used within this time is freed in any case
UNUSED_S = 60.0


def preferred_precision(cpu: Path = Path('/proc/cpuinfo')) -> str:
    """Return ``bf16`` where the CPU multiplies in it (AMX, AVX-512 BF16), else ``f32``."""
    # OpenVINO reports BF16 for any AVX-512 CPU too, where it is emulated and slower than f32
    flags = set(cpu.read_text().split()) if cpu.exists() else set()
    return 'bf16' if flags & {'amx_bf16', 'avx512_bf16'} else 'f32'


# of OpenVINO: a side that is as long as that of each frame
FREE = -1
# batch, height, width, channels, order
Key = tuple[int | str, ...]


@dataclass(frozen=True)
class Compiled:
    """A request that is, or will be, compiled; and how much memory it takes, estimated."""

    request: Future[openvino.InferRequest]
    bytes: int


class OpenVinoEngine(Engine):
    """
    Runs a graph on the CPU, compiled once per batch size, frame size and channel order, or once
    for all sizes.

    The first frame of a new size waits for compilation, up to its deadline. Those after it do
    not wait at all: their camera goes on at its own rate. Sizes not used for a minute are freed,
    and so are those used least recently where all together take more than 2 GiB.

    OpenVINO keeps whatever follows the last convolution in float32, so the subtraction, the
    clamp and the rounding are exact in bf16 as well.
    """

    name = 'openvino'
    precision = ''
    problem = ''

    def __init__(
        self,
        model: str,
        precision: str | None = None,
        *,
        any_size: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Load the model.

        :param model: released name or path of an ONNX file.
        :param precision: ``bf16`` or ``f32``; None takes the faster one of this CPU.
        :param any_size: compile once for frames of all sizes. Where each frame is of another
            size this takes three quarters of the CPU time; where few are, frames take 7 % more.
        :raises ModelError: there is no such model, or it is damaged.
        """
        self.precision = precision or preferred_precision()
        self._core = openvino.Core()
        self._closed, self._any_size = False, any_size
        graphs = {order: load_graph(model, order) for order in get_args(Order)}
        self._values_per_pixel = feature_values_per_pixel(graphs['bgr'])
        self._graphs = {
            order: self._core.read_model(graph.SerializeToString())
            for order, graph in graphs.items()
        }
        # the end of the process waits for a compilation under way: OpenVINO cannot interrupt
        # one, and crashes where its thread is lost
        self._compiler = ThreadPoolExecutor(max_workers=1, thread_name_prefix='compile')
        self._requests: RecentlyUsed[Key, Compiled] = RecentlyUsed(clock)

    def infer(
        self, frames: np.ndarray, out: np.ndarray, order: Order, timeout: float | None = None
    ) -> None:
        """De-rain a batch, as ``Engine.infer`` says."""
        if self._closed:
            raise EngineError('the engine is closed')
        check_frames(frames, out)
        end = None if timeout is None else time.monotonic() + timeout
        # held until the request is done: OpenVINO shares its memory without owning it
        # of read-only frames it takes no tensor, though it only reads them
        contiguous = np.require(frames, requirements=['C', 'W'])
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
        compiled_shape = (shape[0], FREE, FREE, 3) if self._any_size else shape
        key = (*compiled_shape, order)
        compiled = self._requests.get(key)
        if compiled is None:
            bytes_per_value = 4 if self.precision == 'f32' else 2
            compiled = Compiled(
                self._compiler.submit(self._compile, compiled_shape, order),
                round(math.prod(shape[:3]) * self._values_per_pixel * bytes_per_value),
            )
            self._requests.put(key, compiled)
        elif timeout is not None:
            timeout = 0
        self._evict()
        try:
            return compiled.request.result(timeout)
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
        """Free the least recently used requests that are too old, or too much together."""
        while len(self._requests) > 1:
            key, unused_s = self._requests.oldest()
            too_much = sum(each.bytes for each in self._requests.values()) > MOST_BYTES
            if unused_s < (IN_USE_S if too_much else UNUSED_S):
                return
            evicted = self._requests.pop(key)
            if evicted is not None:
                evicted.request.cancel()

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
