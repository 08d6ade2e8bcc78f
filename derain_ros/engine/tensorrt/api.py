"""TensorRT 10, TensorRT 11 and TensorRT for RTX: what differs between them, and only here."""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
import re
from types import ModuleType
from typing import Any

from derain_ros.engine.tensorrt.graph import CONVOLUTION
from derain_ros.errors import EngineError

OLDEST_MAJOR = 10
# as the engine inspectors of TensorRT 10, 11 and RTX spell them
DATA_TYPES = {
    'Half': 'fp16',
    'FP16': 'fp16',
    'Float': 'fp32',
    'FP32': 'fp32',
    'BFloat16': 'bf16',
    'BF16': 'bf16',
    'Int8': 'int8',
    'INT8': 'int8',
}


@dataclass(frozen=True)
class TensorRt:
    """
    A TensorRT at hand.

    :param module: its Python API, the same in every flavour.
    :param flavour: ``tensorrt``, or ``tensorrt_rtx`` for TensorRT for RTX.
    """

    module: ModuleType
    flavour: str

    @property
    def version(self) -> str:
        """The version of the flavour, such as ``10.13.3.9``."""
        return str(self.module.__version__)

    @property
    def times_kernels(self) -> bool:
        """
        Whether building means timing kernels on the GPU, and a cache of timings saves time.

        TensorRT for RTX compiles kernels when the engine is loaded: it builds in a second, needs
        no GPU for it, and its timing cache does nothing.
        """
        return self.flavour == 'tensorrt'


def load_tensorrt() -> TensorRt:
    """
    Import TensorRT, or else TensorRT for RTX.

    :raises EngineError: neither is installed, or can be loaded, or it is too old.
    """
    reasons = []
    for flavour, name in (
        ('tensorrt', 'tensorrt'),
        ('tensorrt_rtx', 'tensorrt_rtx'),
        ('tensorrt_rtx', 'tensorrt_rtx_bindings'),
    ):
        try:
            if name == 'tensorrt_rtx_bindings':
                # loads the libraries that the bindings link to
                with suppress(ModuleNotFoundError):
                    import_module('tensorrt_rtx_libs')
            found = TensorRt(import_module(name), flavour)
        except (ImportError, OSError) as error:
            if getattr(error, 'name', None) != name:  # it is there, but something of it is not
                reasons.append(f'{name}: {error}')
            continue
        if flavour == 'tensorrt' and int(found.version.split('.')[0]) < OLDEST_MAJOR:
            raise EngineError(
                f'TensorRT {found.version} is too old: {OLDEST_MAJOR}.0 is the first '
                'that takes precision from the graph'
            )
        return found
    state = f'cannot be loaded ({"; ".join(reasons)})' if reasons else 'is not installed'
    raise EngineError(f'TensorRT {state}; docs/tensorrt.md says which one this GPU takes')


def create_log(tensorrt: TensorRt) -> Any:
    """
    Create a logger for TensorRT that keeps what matters.

    :returns: an ILogger with ``problems``, its warnings and errors in order, and ``layers``, the
        layers of the last engine built with detailed profiling verbosity.
    """

    class Log(tensorrt.module.ILogger):  # type: ignore[name-defined]  # known when it runs
        def __init__(self) -> None:
            super().__init__()
            self.problems: list[str] = []
            self.layers = ''

        def log(self, severity: Any, message: str) -> None:
            if severity <= tensorrt.module.ILogger.WARNING:
                self.problems.append(message)
            elif message.startswith('Layers:'):
                self.layers = message

    return Log()


def create_on_cuda(kind: Callable[[Any], Any], log: Any) -> Any:
    """
    Create a Builder or a Runtime.

    :param log: what ``create_log`` returned.
    :raises EngineError: TensorRT cannot use CUDA; the message is TensorRT's own.
    """
    try:
        return kind(log)
    except TypeError as error:  # which is all that its bindings say
        raise EngineError(
            f'TensorRT cannot use CUDA: {"; ".join(log.problems) or error}'
        ) from error


def convolution_precisions(layers: str) -> Counter[str]:
    """
    Count the precisions that the convolutions of an engine really run in.

    :param layers: one layer per line, as the engine inspector and the builder's log list them.
    :returns: such as ``Counter({'fp16': 58})``; empty where TensorRT does not tell.
    """
    precisions: dict[str, str] = {}
    for line in layers.splitlines():
        inputs = re.search(r'Inputs: \[.*?Datatype: ([^,}\]]+)', line)
        if inputs and 'LayerType: Reformat' not in line:
            known = [DATA_TYPES[word] for word in inputs[1].split() if word in DATA_TYPES]
            for name in re.findall(rf'{CONVOLUTION}\d+', line):
                precisions[name] = known[0] if known else inputs[1].strip()
    return Counter(precisions.values())


def describe(precisions: dict[str, int]) -> str:
    """Return the precision in one word, or each with its share where there are several."""
    if len(precisions) == 1:
        return next(iter(precisions))
    return ', '.join(f'{name} ({count})' for name, count in precisions.items()) or 'unknown'
