"""
A stand-in for TensorRT that runs the same graph with torch, on the stream that it is given.

For machines whose GPU TensorRT refuses: our own CUDA code (pinned buffers, streams, recording,
deadlines, closing) runs for real there, the kernels of TensorRT do not. It has the calls that
``derain_ros.engine.tensorrt`` makes and no more. Only for tests, and only where it is asked for:

    PYTHONPATH=test/stand_in python3 -m pytest test/gpu

Its version names it in all that is printed or kept.
"""

import ctypes
from enum import IntEnum
from typing import Any

import onnx
import torch

from .graph import Graph

__version__ = '11.0+torch.stand.in'
MAGIC = b'torch stand-in'


class ILogger:
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)

    def log(self, severity: int, message: str) -> None: ...


class IProgressMonitor:
    pass


class NetworkDefinitionCreationFlag(IntEnum):
    STRONGLY_TYPED = 1


class BuilderFlag(IntEnum):
    TF32 = 0


class ProfilingVerbosity(IntEnum):
    DETAILED = 2


class LayerInformationFormat(IntEnum):
    ONELINE = 0


class TensorIOMode(IntEnum):
    INPUT = 1
    OUTPUT = 2


class Builder:
    """Keeps what it is given: there is nothing to build."""

    def __init__(self, log: ILogger) -> None:
        self._log = log

    def create_network(self, flags: int) -> dict[str, bytes]:
        return {}

    def create_builder_config(self) -> 'BuilderConfig':
        return BuilderConfig()

    def build_serialized_network(self, network: dict, config: 'BuilderConfig') -> bytes | None:
        config.progress_monitor.phase_start('stand-in', None, 1)
        if not config.progress_monitor.step_complete('stand-in', 0):
            return None
        config.progress_monitor.phase_finish('stand-in')
        self._log.log(ILogger.VERBOSE, 'Layers:\n' + Graph(network['graph'], 'cpu').layers())
        return MAGIC + network['graph']


class BuilderConfig:
    profiling_verbosity: int
    progress_monitor: Any

    def clear_flag(self, flag: int) -> None:
        pass

    def create_timing_cache(self, timings: bytes) -> bytes:
        return timings

    def set_timing_cache(self, timings: bytes, ignore_mismatch: bool) -> None:
        pass

    def get_timing_cache(self) -> Any:
        return self

    def serialize(self) -> bytes:
        return b'no kernel was timed'


class OnnxParser:
    def __init__(self, network: dict[str, bytes], log: ILogger) -> None:
        self._network = network

    def parse(self, graph: bytes) -> bool:
        onnx.checker.check_model(onnx.load_from_string(graph))
        self._network['graph'] = graph
        return True


class Runtime:
    def __init__(self, log: ILogger) -> None:
        self._log = log

    def deserialize_cuda_engine(self, plan: bytes) -> 'Engine | None':
        if not plan.startswith(MAGIC):
            self._log.log(ILogger.ERROR, 'this is no plan of the stand-in')
            return None
        device = 'cuda' if torch.cuda.is_available() else 'cpu'
        return Engine(Graph(plan.removeprefix(MAGIC), device))


class Engine:
    """An engine, its inspector and its context in one."""

    num_io_tensors = 2

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._memory: dict[str, torch.Tensor] = {}

    def create_execution_context(self) -> 'Engine':
        return self

    create_engine_inspector = create_execution_context

    def get_engine_information(self, form: int) -> str:
        return self._graph.layers()

    def get_tensor_name(self, index: int) -> str:
        return self._graph.names[index]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        return TensorIOMode.INPUT if name == self._graph.names[0] else TensorIOMode.OUTPUT

    def set_tensor_address(self, name: str, address: int) -> bool:
        self._memory[name] = memory(address, self._graph.shape, self._graph.device)
        return True

    def execute_async_v3(self, stream: int) -> bool:
        """Launch the graph on a stream; on the CPU, run it."""
        frames, derained = (self._memory[name] for name in self._graph.names)
        if self._graph.device == 'cpu':
            derained.copy_(self._graph.run(frames))
            return True
        with torch.cuda.stream(torch.cuda.ExternalStream(stream)):
            derained.copy_(self._graph.run(frames))
        return True


class _OnDevice:
    """Memory on the GPU, as libraries tell one another of it."""

    def __init__(self, address: int, shape: tuple[int, ...]) -> None:
        self.__cuda_array_interface__ = {
            'shape': shape,
            'typestr': '|u1',
            'data': (address, False),
            'version': 3,
        }


def memory(address: int, shape: tuple[int, ...], device: str) -> torch.Tensor:
    """Return memory that is there already as a tensor, uint8 of a shape."""
    if device == 'cuda':
        return torch.as_tensor(_OnDevice(address, shape), device='cuda')
    count = int(torch.Size(shape).numel())
    held = (ctypes.c_uint8 * count).from_address(address)
    return torch.frombuffer(held, dtype=torch.uint8).view(shape)
