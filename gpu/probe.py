#!/usr/bin/env python3
"""
Does TensorRT take this GPU? Builds a small engine, loads it, and prints TensorRT's own words.

    python3 gpu/probe.py

Ends with status 3 where it does not: then test/stand_in takes its place in the tests.
"""

from pathlib import Path
import sys
from tempfile import TemporaryDirectory

import _root  # noqa: F401  lets this repository be imported

from derain_ros.engine.tensorrt.api import create_log, create_on_cuda, load_tensorrt
from derain_ros.engine.tensorrt.build import build_engine
from derain_ros.engine.tensorrt.cache import EngineCache
from derain_ros.engine.tensorrt.cuda import first_gpu
from derain_ros.engine.tensorrt.graph import Size
from derain_ros.errors import EngineError

NOT_RUN = 3


def main() -> int:
    try:
        gpu, tensorrt = first_gpu(), load_tensorrt()
        log = create_log(tensorrt)
        print(f'{gpu}; {tensorrt.flavour} {tensorrt.version}')
        with TemporaryDirectory() as folder:
            cache = EngineCache(Path(folder) / 'derain_ros')
            plan = build_engine('fast', Size(1, 96, 128), cache=cache).plan
        runtime = create_on_cuda(tensorrt.module.Runtime, log)
        if hasattr(runtime, 'get_engine_validity'):  # TensorRT for RTX
            print(f'validity: {runtime.get_engine_validity(plan)}')
        engine = runtime.deserialize_cuda_engine(plan)
        context = None if engine is None else engine.create_execution_context()
    except EngineError as error:
        print(error)
        return NOT_RUN
    if context is None:
        print('refused: ' + ('; '.join(log.problems) or 'TensorRT does not say why'))
        return NOT_RUN
    print(f'{tensorrt.flavour} {tensorrt.version} takes {gpu.name} ({gpu.compute_capability})')
    return 0


if __name__ == '__main__':
    sys.exit(main())
