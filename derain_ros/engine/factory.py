"""Creating the inference engine that a name stands for on this machine."""

import logging
from typing import TYPE_CHECKING

from derain_ros.engine.base import Engine, Log
from derain_ros.engine.self_test import self_test, SelfTestError
from derain_ros.errors import EngineError, ModelError
from derain_ros.model.released import onnx_file
from derain_ros.order import Order

if TYPE_CHECKING:
    from derain_ros.engine.openvino import OpenVinoEngine

ENGINES = ('auto', 'tensorrt', 'openvino')
# small, so that the test costs little; and several of the network's coarsest pixels
TESTED_PX = 64
# a GPU that needs longer for a frame hangs
SELF_TEST_TIMEOUT_S = 30.0

_log = logging.getLogger(__name__)


def create_engine(name: str, model: str, log: Log = _log, *, any_size: bool = False) -> Engine:
    """
    Create the engine of the given name, and let it prove itself on known frames.

    ``auto`` is TensorRT where there is a GPU, on the CPU until its engine is built; elsewhere the
    CPU. ``tensorrt`` is the same, but demands the GPU. ``openvino`` is the CPU.

    :param model: released name, path of an ONNX file, or of weights (needs torch).
    :param log: is told what runs and why.
    :param any_size: whether the engine of the CPU is compiled once for frames of all sizes.
    :raises EngineError: the name is unknown, or what it names cannot run on this machine.
    :raises ModelError: there is no such model, or its weights are damaged.
    """
    if name not in ENGINES:
        raise EngineError(f'engine {name!r} is unknown; known are {", ".join(ENGINES)}')
    cpu = _create_cpu_engine(model, any_size)
    if name == 'openvino':
        return cpu
    try:
        return _accelerate(cpu, model, log)
    except EngineError as error:
        if name == 'tensorrt':
            cpu.close()
            raise EngineError(f"engine 'tensorrt': {error}") from error
        log.info(f'runs on {cpu.name} ({cpu.precision}): {error}')
        return cpu


def _create_cpu_engine(model: str, any_size: bool) -> 'OpenVinoEngine':
    try:
        from derain_ros.engine.openvino import OpenVinoEngine
    except ImportError as error:
        raise EngineError(
            f"engine 'openvino' is not installed ({error}); "
            'pip install -r requirements/runtime.txt'
        ) from error
    with onnx_file(model) as graph:
        engine = OpenVinoEngine(graph, any_size=any_size)
        exact = engine if engine.precision == 'f32' else OpenVinoEngine(graph, 'f32')
    try:
        self_test(engine, exact, (1, TESTED_PX, TESTED_PX), 'bgr')
    except SelfTestError as error:
        engine.close()
        raise ModelError(
            f'model {model!r}: {error}; its weights are damaged, or not those of a trained '
            'network: copy or export it anew'
        ) from error
    finally:
        if exact is not engine:
            exact.close()
    return engine


def _accelerate(cpu: Engine, model: str, log: Log) -> Engine:
    """
    Put a GPU before the engine of the CPU.

    :raises EngineError: this machine has no GPU, or no TensorRT to use it.
    """
    from derain_ros.engine.failover import AutoEngine
    from derain_ros.engine.openvino import OpenVinoEngine
    from derain_ros.engine.tensorrt.api import load_tensorrt
    from derain_ros.engine.tensorrt.build_process import BuildProcess
    from derain_ros.engine.tensorrt.cuda import first_gpu
    from derain_ros.engine.tensorrt.graph import Size

    gpu, tensorrt = first_gpu(), load_tensorrt()
    log.info(
        f'runs on {cpu.name} ({cpu.precision}) until {tensorrt.flavour} {tensorrt.version} '
        f'on {gpu.name} is ready'
    )

    def check(engine: Engine, size: Size, order: Order) -> None:
        with onnx_file(model) as graph, OpenVinoEngine(graph, 'f32') as exact:
            self_test(engine, exact, size, order, SELF_TEST_TIMEOUT_S)

    return AutoEngine(cpu, BuildProcess(model, log, check), log)
