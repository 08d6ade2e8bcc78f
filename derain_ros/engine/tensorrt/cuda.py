"""What the TensorRT engine needs of CUDA: checked calls, and which GPU there is."""

from dataclasses import dataclass
from typing import Any

from derain_ros.errors import EngineError


@dataclass(frozen=True)
class Gpu:
    """
    The GPU that an engine is built for.

    :param name: as its driver gives it, and its multiprocessors, of which a Jetson has more or
        fewer by model and power mode under one name: ``Orin, 16 multiprocessors``.
    :param compute_capability: such as ``8.9``.
    """

    name: str
    compute_capability: str


def checked(result: tuple[Any, ...]) -> Any:
    """
    Return what a call of cuda-bindings returned beside its error code.

    :raises EngineError: the call failed; the message is the driver's own.
    """
    from cuda.bindings import runtime

    error, *values = result
    if error != runtime.cudaError_t.cudaSuccess:
        _, text = runtime.cudaGetErrorString(error)
        raise EngineError(f'CUDA: {text.decode()} ({error.name})')
    return values[0] if len(values) == 1 else tuple(values)


def first_gpu() -> Gpu:
    """
    Describe the GPU that engines run on, CUDA's first.

    :raises EngineError: cuda-bindings are missing, or there is no GPU that CUDA can use.
    """
    try:
        from cuda.bindings import runtime
    except ImportError as error:
        raise EngineError(
            f'no GPU can be used: cuda-bindings are not installed ({error}); '
            'pip install -r requirements/tensorrt.txt'
        ) from error
    try:
        properties = checked(runtime.cudaGetDeviceProperties(0))
    except EngineError as error:
        raise EngineError(f'no GPU can be used: {error}') from error
    return Gpu(
        f'{properties.name.decode()}, {properties.multiProcessorCount} multiprocessors',
        f'{properties.major}.{properties.minor}',
    )
