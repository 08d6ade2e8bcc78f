"""TensorRT: the engine of machines with an NVIDIA GPU."""

from contextlib import ExitStack
import logging
import math
import threading
import time
from typing import Any

from cuda.bindings import runtime as cuda
import numpy as np

from derain_ros.engine.base import Engine
from derain_ros.engine.checks import check_frames
from derain_ros.engine.tensorrt.api import (
    convolution_precisions,
    create_log,
    create_on_cuda,
    describe,
    load_tensorrt,
)
from derain_ros.engine.tensorrt.buffers import FrameBuffers
from derain_ros.engine.tensorrt.cuda import checked, first_gpu
from derain_ros.engine.tensorrt.entry import Entry
from derain_ros.errors import DeadlineError, EngineError
from derain_ros.order import Order

POLL_PERIOD_S = 0.0002
PATIENT_PERIOD_S = 0.01
# a GPU that needs longer for a frame hangs
WARM_UP_TIMEOUT_S = 30.0

log = logging.getLogger(__name__)


class PlanError(EngineError):
    """TensorRT does not take this serialised engine; one that is built anew may do."""


class TensorRtEngine(Engine):
    """
    Runs one built engine: one batch size, frame size and channel order.

    Frames travel through pinned buffers of its own. The memory of a message is the message's to
    free, so a GPU that is late could write into what has become something else; and what ``out``
    receives is copied only once every step before has reported success.
    """

    name = 'tensorrt'
    precision = ''
    problem = ''

    def __init__(self, entry: Entry, *, cuda_graph: bool = True) -> None:
        """
        Load the engine onto the first GPU and run it once.

        :param entry: the engine; it must have been built by this TensorRT for this GPU.
        :param cuda_graph: launch each frame's work as one recorded graph where CUDA can record
            it; else, step by step.
        :raises PlanError: TensorRT does not take this engine.
        :raises EngineError: there is no GPU or no TensorRT, too little memory, or the GPU hangs.
        """
        first_gpu()
        self._shape = (entry.key.batch, entry.key.height, entry.key.width, 3)
        self._order = entry.key.order
        self._lock, self._closed = threading.Lock(), False
        self._resources = ExitStack()
        self._graph: Any = None
        self._runtime: Any = None
        self._context: Any = None
        # first, because it makes the CUDA context; TensorRT would, and stop all Python for it
        self._stream = checked(cuda.cudaStreamCreateWithFlags(cuda.cudaStreamNonBlocking))
        self._resources.callback(cuda.cudaStreamDestroy, self._stream)
        try:
            self._buffers = FrameBuffers(self._shape, self._resources)
            self._load(entry)
            self._warm_up()
            if cuda_graph:
                self._record()
        except BaseException:
            # on a GPU that hangs this never returns
            threading.Thread(target=self._free, daemon=True).start()
            raise

    def close(self) -> None:
        """Wait for the frame in work, for ever on a GPU that hangs, and free all on the GPU."""
        with self._lock:
            # the stream is gone: CUDA ends the process of who asks about it again
            if not self._closed:
                self._closed = True
                self._free()

    def _free(self) -> None:
        _drain(self._stream)
        self._resources.close()
        self._context = self._runtime = None  # which hold the feature maps and the weights

    @property
    def uses_cuda_graph(self) -> bool:
        """Whether each frame's work is launched as one recorded graph."""
        return self._graph is not None

    def infer(
        self, frames: np.ndarray, out: np.ndarray, order: Order, timeout: float | None = None
    ) -> None:
        """
        De-rain a batch, as ``Engine.infer`` says.

        :raises EngineError: also where the frames are not of the engine's one size and order.
        """
        end = math.inf if timeout is None else time.monotonic() + timeout
        check_frames(frames, out)
        if frames.shape != self._shape or order != self._order:
            raise EngineError(
                f'the engine takes {self._order} {self._shape}, not {order} {frames.shape}'
            )
        with self._lock:
            if self._closed:
                raise EngineError('the engine is closed')
            self._wait(end)  # for a frame before that missed its deadline and is still in work
            np.copyto(self._buffers.host_input, frames)
            self._launch()
            self._wait(end)
            np.copyto(out, self._buffers.host_output)

    def _load(self, entry: Entry) -> None:
        tensorrt = load_tensorrt()
        trt, self._log = tensorrt.module, create_log(tensorrt)
        self._runtime = create_on_cuda(trt.Runtime, self._log)
        engine = self._runtime.deserialize_cuda_engine(entry.plan)
        if engine is None:
            raise PlanError(self._refusal(f'{entry.path.name} was not taken'))
        self._context = engine.create_execution_context()
        if self._context is None:
            raise EngineError(self._refusal(f'{entry.path.name} gave no execution context'))
        layers = engine.create_engine_inspector().get_engine_information(
            trt.LayerInformationFormat.ONELINE
        )
        self.precision = describe(convolution_precisions(layers))
        for index in range(engine.num_io_tensors):
            name = engine.get_tensor_name(index)
            is_input = engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
            buffers = self._buffers
            address = buffers.device_input if is_input else buffers.device_output
            if not self._context.set_tensor_address(name, address):
                raise EngineError(self._refusal(f"the buffer of '{name}' was not taken"))
        for problem in self._log.problems:
            log.warning('TensorRT: %s', problem)
        self._log.problems.clear()

    def _warm_up(self) -> None:
        self._launch()
        self._wait(time.monotonic() + WARM_UP_TIMEOUT_S)

    def _record(self) -> None:
        """Record the steps of a frame as a CUDA graph; where that cannot be, keep to the steps."""
        try:
            checked(
                cuda.cudaStreamBeginCapture(
                    self._stream, cuda.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
                )
            )
            try:
                self._enqueue()
            finally:
                # always, because a stream left capturing can do nothing else
                steps = checked(cuda.cudaStreamEndCapture(self._stream))
            self._resources.callback(cuda.cudaGraphDestroy, steps)
            self._graph = checked(cuda.cudaGraphInstantiate(steps, 0))
            self._resources.callback(cuda.cudaGraphExecDestroy, self._graph)
            self._warm_up()
        except EngineError as error:
            self._graph = None
            cuda.cudaGetLastError()  # else the next checked call reports this failure
            log.warning('frames are launched step by step, not as a CUDA graph: %s', error)
            self._warm_up()  # what the failure broke shall show now, not in a frame of the car

    def _launch(self) -> None:
        if self._graph is None:
            self._enqueue()
        else:
            checked(cuda.cudaGraphLaunch(self._graph, self._stream))

    def _enqueue(self) -> None:
        self._buffers.copy_in(self._stream)
        if not self._context.execute_async_v3(int(self._stream)):
            raise EngineError(self._refusal('the frame was not taken'))
        self._buffers.copy_out(self._stream)

    def _wait(self, end: float) -> None:
        """
        Wait until the GPU has done all it was given.

        :param end: when to give up, on ``time.monotonic``.
        """
        while _is_busy(status := cuda.cudaStreamQuery(self._stream)):
            if time.monotonic() >= end:
                raise DeadlineError(
                    f'{self._shape[2]}x{self._shape[1]}: the GPU gave no result in time; raise '
                    'the deadline, or give smaller images'
                )
            time.sleep(POLL_PERIOD_S)
        checked(status)

    def _refusal(self, what: str) -> str:
        """Say what TensorRT refused, and why in its own words."""
        reason = '; '.join(self._log.problems) or 'it does not say why'
        self._log.problems.clear()
        return f'TensorRT: {what}: {reason}'


def _is_busy(status: tuple[Any, ...]) -> bool:
    return bool(status[0] == cuda.cudaError_t.cudaErrorNotReady)


def _drain(stream: cuda.cudaStream_t) -> None:
    """Wait for a GPU that may hang for ever; cudaStreamSynchronize would keep a core busy."""
    while _is_busy(cuda.cudaStreamQuery(stream)):
        time.sleep(PATIENT_PERIOD_S)
