"""Creating the inference engine that a name stands for on this machine."""

import logging

from derain_ros.engine.base import Engine, Log
from derain_ros.errors import EngineError

_log = logging.getLogger(__name__)


def create_engine(name: str, model: str, log: Log = _log) -> Engine:
    """
    Create the engine of the given name.

    ``auto`` is TensorRT where there is a GPU, on the CPU until its engine is built; elsewhere the
    CPU. ``tensorrt`` is the same, but demands the GPU. ``openvino`` is the CPU.

    :param log: is told what runs and why.
    :raises EngineError: the name is unknown, or what it names cannot run on this machine.
    :raises ModelError: there is no such model.
    """
    if name not in ('auto', 'tensorrt', 'openvino'):
        raise EngineError(f"engine '{name}' is unknown; known are auto, tensorrt, openvino")
    try:
        from derain_ros.engine.openvino import OpenVinoEngine
    except ImportError as error:
        raise EngineError(
            f"engine 'openvino' is not installed ({error}); "
            'pip install -r requirements/runtime.txt'
        ) from error
    cpu = OpenVinoEngine(model)
    if name == 'openvino':
        return cpu
    try:
        from derain_ros.engine.failover import accelerate

        return accelerate(cpu, model, log)
    except EngineError as error:
        if name == 'tensorrt':
            raise EngineError(f"engine 'tensorrt': {error}") from error
        log.info(f'runs on {cpu.name} ({cpu.precision}): {error}')
        return cpu
