"""TensorRT: the engine of machines with an NVIDIA GPU."""

from contextlib import ExitStack
import ctypes
import logging
import math
import time
import weakref

from cuda.bindings import runtime as cuda
import numpy as np

from derain_ros.engine.base import check_frames
from derain_ros.engine.tensorrt.api import (
    convolution_precisions,
    create_log,
    create_on_cuda,
    describe,
    load_tensorrt,
)
from derain_ros.engine.tensorrt.cache import Entry
from derain_ros.engine.tensorrt.cuda import checked, first_gpu
from derain_ros.errors import DeadlineError, EngineError
from derain_ros.model.graph import Order

POLL_PERIOD = 0.0002
PATIENT_PERIOD = 0.01

log = logging.getLogger(__name__)


class PlanError(EngineError):
    """TensorRT does not take this serialised engine; one that is built anew may do."""


class TensorRtEngine:
    """
    Runs one built engine: one batch size, frame size and channel order.

    Frames travel through pinned buffers of its own. The memory of a message is the message's to
    free, so a GPU that is late could write into what has become something else; and what ``out``
    receives is copied only once every step before has reported success.
    """

    name = 'tensorrt'
    problem = ''

    def __init__(self, entry: Entry, *, cuda_graph: bool = True) -> None:
        """
        Load the engine onto the first GPU and run it once.

        :param entry: the engine; it must have been built by this TensorRT for this GPU.
        :param cuda_graph: launch each frame's work as one recorded graph where CUDA can record
            it; else, step by step.
        :raises PlanError: TensorRT does not take this engine.
        :raises EngineError: there is no GPU or no TensorRT, or too little memory.
        """
        first_gpu()
        self._shape = (entry.key.batch, entry.key.height, entry.key.width, 3)
        self._order = entry.key.order
        self._bytes = int(np.prod(self._shape))
        self._graph = None
        with ExitStack() as resources:
            # first, because it makes the CUDA context; TensorRT would, and stop all Python for it
            self._allocate(resources)
            self._load(entry)
            self._bind()
            self._warm_up()
            if cuda_graph:
                self._record(resources)
            resources.callback(_drain, self._stream)
            self._finalizer = weakref.finalize(self, resources.pop_all().close)
            # the end of the process frees all, and waits for no GPU
            self._finalizer.atexit = False

    def close(self) -> None:
        """Wait for the frame in work, and give back what the engine holds on the GPU."""
        self._finalizer()
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
        self._wait(end)  # for a frame before that missed its deadline and is still in work
        np.copyto(self._host_input, frames)
        self._launch()
        self._wait(end)
        np.copyto(out, self._host_output)

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
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        self._input, self._output = sorted(
            names, key=lambda name: engine.get_tensor_mode(name) != trt.TensorIOMode.INPUT
        )
        for problem in self._log.problems:
            log.warning('TensorRT: %s', problem)
        self._log.problems.clear()

    def _allocate(self, resources: ExitStack) -> None:
        self._stream = checked(cuda.cudaStreamCreateWithFlags(cuda.cudaStreamNonBlocking))
        resources.callback(cuda.cudaStreamDestroy, self._stream)
        self._device_input, self._device_output = (
            self._device_buffer(resources) for _ in range(2)
        )
        self._host_input, self._host_output = (self._pinned_frames(resources) for _ in range(2))

    def _device_buffer(self, resources: ExitStack) -> int:
        address = checked(cuda.cudaMalloc(self._bytes))
        resources.callback(cuda.cudaFree, address)
        return address

    def _pinned_frames(self, resources: ExitStack) -> np.ndarray:
        address = checked(cuda.cudaHostAlloc(self._bytes, cuda.cudaHostAllocDefault))
        resources.callback(cuda.cudaFreeHost, address)
        memory = (ctypes.c_uint8 * self._bytes).from_address(int(address))
        return np.frombuffer(memory, np.uint8).reshape(self._shape)

    def _bind(self) -> None:
        for name, address in (
            (self._input, self._device_input),
            (self._output, self._device_output),
        ):
            if not self._context.set_tensor_address(name, int(address)):
                raise EngineError(self._refusal(f"the buffer of '{name}' was not taken"))

    def _warm_up(self) -> None:
        self._launch()
        self._wait(math.inf)

    def _record(self, resources: ExitStack) -> None:
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
            resources.callback(cuda.cudaGraphDestroy, steps)
            self._graph = checked(cuda.cudaGraphInstantiate(steps, 0))
            resources.callback(cuda.cudaGraphExecDestroy, self._graph)
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
        checked(
            cuda.cudaMemcpyAsync(
                self._device_input,
                self._host_input.ctypes.data,
                self._bytes,
                cuda.cudaMemcpyKind.cudaMemcpyHostToDevice,
                self._stream,
            )
        )
        if not self._context.execute_async_v3(int(self._stream)):
            raise EngineError(self._refusal('the frame was not taken'))
        checked(
            cuda.cudaMemcpyAsync(
                self._host_output.ctypes.data,
                self._device_output,
                self._bytes,
                cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost,
                self._stream,
            )
        )

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
            time.sleep(POLL_PERIOD)
        checked(status)

    def _refusal(self, what: str) -> str:
        """Say what TensorRT refused, and why in its own words."""
        reason = '; '.join(self._log.problems) or 'it does not say why'
        self._log.problems.clear()
        return f'TensorRT: {what}: {reason}'


def _is_busy(status: tuple) -> bool:
    return status[0] == cuda.cudaError_t.cudaErrorNotReady


def _drain(stream: cuda.cudaStream_t) -> None:
    """Wait for a GPU that may hang for ever; cudaStreamSynchronize would keep a core busy."""
    while _is_busy(cuda.cudaStreamQuery(stream)):
        time.sleep(PATIENT_PERIOD)
