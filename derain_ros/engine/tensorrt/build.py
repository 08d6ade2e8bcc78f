"""Building TensorRT engines: a model to the serialised engine in the cache."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
import hashlib
import logging
import time
from typing import Any

from derain_ros.engine.tensorrt.api import (
    convolution_precisions,
    create_log,
    create_on_cuda,
    load_tensorrt,
    TensorRt,
)
from derain_ros.engine.tensorrt.cache import EngineCache
from derain_ros.engine.tensorrt.cuda import first_gpu, Gpu
from derain_ros.engine.tensorrt.entry import Entry, Facts, Key
from derain_ros.engine.tensorrt.graph import Size, tensorrt_graph
from derain_ros.errors import EngineError
from derain_ros.model.released import onnx_file
from derain_ros.model.weights import Precision
from derain_ros.order import Order

# what TensorRT for RTX builds for where there is no GPU: all that it takes by default
ANY_GPU = Gpu('any', 'any')
# part of the key by which an engine is found, so say here what ``_configure`` sets
FLAGS = {
    'tensorrt': 'STRONGLY_TYPED, no TF32, profiling DETAILED',
    'tensorrt_rtx': 'STRONGLY_TYPED, no TF32, profiling DETAILED, REQUIRE_USER_ALLOCATION',
}


def build_engine(
    model: str,
    size: Size,
    *,
    order: Order = 'bgr',
    precision: Precision = 'fp16',
    cache: EngineCache | None = None,
    rebuild: bool = False,
    progress: Callable[[str, float], None] = lambda phase, done: None,
) -> Entry:
    """
    Return the engine of a model for one batch and frame size, from the cache or built now.

    :param model: released name, path of an ONNX file, or of weights (safetensors; needs torch).
    :param rebuild: build even where the cache has it.
    :param progress: called during the build with its phase and the share done, 0 to 1.
    :raises ModelError: there is no such model, or its weights cannot be used.
    :raises EngineError: TensorRT is missing or refuses, or the cache cannot be used.
    """
    tensorrt = load_tensorrt()
    gpu = target_gpu(tensorrt)
    with onnx_file(model) as path:
        graph = tensorrt_graph(path, size, order, precision).SerializeToString(deterministic=True)
    key = Key(
        graph=hashlib.sha256(graph).hexdigest(),
        flavour=tensorrt.flavour,
        version=tensorrt.version,
        gpu=gpu.name,
        compute_capability=gpu.compute_capability,
        precision=precision,
        order=order,
        **size._asdict(),
        flags=FLAGS[tensorrt.flavour],
    )
    cache = cache or EngineCache()
    return cache.get(
        key, lambda: _build(tensorrt, gpu, graph, model, cache, progress), rebuild=rebuild
    )


def target_gpu(tensorrt: TensorRt) -> Gpu:
    """
    Return the GPU to build for: the first one here, or any where TensorRT needs none to build.

    :raises EngineError: there is no GPU, and this TensorRT needs one to build.
    """
    try:
        return first_gpu()
    except EngineError:
        if tensorrt.times_kernels:
            raise
        return ANY_GPU


def _build(
    tensorrt: TensorRt,
    gpu: Gpu,
    graph: bytes,
    model: str,
    cache: EngineCache,
    progress: Callable[[str, float], None],
) -> tuple[bytes, Facts]:
    start = time.monotonic()
    trt, log = tensorrt.module, create_log(tensorrt)
    builder = create_on_cuda(trt.Builder, log)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, log)
    if not parser.parse(graph):
        error = parser.get_error(0)
        raise EngineError(
            f"model '{model}': TensorRT {tensorrt.version} cannot parse "
            f"'{error.node_name()}' ({error.node_operator()}): {error.desc()}"
        )
    config = _configure(tensorrt, builder)
    config.progress_monitor = monitor = _create_monitor(tensorrt, progress)
    timings_name = f'{tensorrt.flavour}-{tensorrt.version}-{gpu.name}'.replace(' ', '_')
    if tensorrt.times_kernels:
        config.set_timing_cache(config.create_timing_cache(cache.timings(timings_name)), False)
    plan = _run(lambda: builder.build_serialized_network(network, config), monitor)
    if plan is None:
        raise EngineError(
            f"model '{model}': TensorRT {tensorrt.version} cannot build it: "
            f'{"; ".join(log.problems) or "it does not say why"}'
        )
    if tensorrt.times_kernels:
        cache.keep_timings(timings_name, bytes(config.get_timing_cache().serialize()))
    for problem in log.problems:
        logging.getLogger(__name__).warning('TensorRT: %s', problem)
    return bytes(plan), Facts(
        model=model,
        convolutions=convolution_precisions(log.layers),
        seconds=round(time.monotonic() - start, 1),
    )


def _configure(tensorrt: TensorRt, builder: Any) -> Any:
    trt, config = tensorrt.module, builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    config.clear_flag(trt.BuilderFlag.TF32)
    if tensorrt.flavour == 'tensorrt_rtx':
        # else it may allocate while a frame is recorded as a CUDA graph, which CUDA forbids
        config.set_flag(trt.BuilderFlag.REQUIRE_USER_ALLOCATION)
    return config


def _run(build: Callable[[], Any], monitor: Any) -> Any:
    """Build on a thread of its own, because Ctrl-C must not raise within TensorRT."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        try:
            return thread.submit(build).result()
        except KeyboardInterrupt:
            monitor.cancelled = True
            raise


def _create_monitor(tensorrt: TensorRt, progress: Callable[[str, float], None]) -> Any:
    class Monitor(tensorrt.module.IProgressMonitor):  # type: ignore[name-defined]  # as Log is
        def __init__(self) -> None:
            super().__init__()
            self.cancelled = False
            self._phases: dict[str, dict[str, Any]] = {}

        def phase_start(self, phase: str, parent: str | None, steps: int) -> None:
            self._phases[phase] = {'parent': parent, 'steps': steps, 'done': 0}

        def step_complete(self, phase: str, step: int) -> bool:
            self._phases[phase]['done'] = step + 1
            progress(phase, self._share(None))
            return not self.cancelled

        def phase_finish(self, phase: str) -> None:
            parent = self._phases.pop(phase)['parent']
            progress(phase, self._share(None) if parent else 1.0)

        def _share(self, parent: str | None) -> float:
            """Return how much of the phases below a parent is done, 0 to 1."""
            return max(
                (
                    min(1.0, (phase['done'] + self._share(name)) / phase['steps'])
                    for name, phase in self._phases.items()
                    if phase['parent'] == parent
                ),
                default=0.0,
            )

    return Monitor()
