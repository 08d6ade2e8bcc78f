#!/usr/bin/env python3
"""
Milliseconds per batch of TensorRT engines, with copies to and from the host and without.

    python3 benchmarks/tensorrt_speed.py [--model fast] [--sizes 1280x720] [--batches 1 4 6]

With copies: what a frame waits for, from memory of the host to memory of the host. Without: the
engine alone, by events of CUDA on its stream. Ends with status 3, and the reason in the last
line, where there is no GPU, or TensorRT refuses it.
"""

import argparse
from collections.abc import Callable
from itertools import product
import json
from pathlib import Path
import sys
from tempfile import TemporaryDirectory
import time
from typing import Any

import _root  # noqa: F401  lets this repository be imported
import numpy as np

from derain_ros.engine.tensorrt.api import load_tensorrt
from derain_ros.engine.tensorrt.build import build_engine
from derain_ros.engine.tensorrt.cache import EngineCache
from derain_ros.engine.tensorrt.cuda import checked, first_gpu
from derain_ros.engine.tensorrt.graph import Size
from derain_ros.errors import EngineError

SIZES = ('640x360', '1280x720', '1920x1080')
NOT_RUN = 3
WARM_UP_FRAMES = 10


def percentiles(measure: Callable[[], float], count: int) -> dict[str, float]:
    """Return median and 99th percentile of what is measured, in ms."""
    for _ in range(min(WARM_UP_FRAMES, count)):
        measure()
    times = [measure() for _ in range(count)]
    return {'p50_ms': float(np.median(times)), 'p99_ms': float(np.percentile(times, 99))}


def with_copies(engine: Any, frames: np.ndarray) -> Callable[[], float]:
    """Return what measures one call of an engine, in ms."""
    out = np.zeros_like(frames)

    def measure() -> float:
        start = time.perf_counter()
        engine.infer(frames, out, 'bgr')
        return 1000 * (time.perf_counter() - start)

    return measure


def without_copies(engine: Any) -> Callable[[], float]:
    """Return what measures the work of the GPU on one batch, in ms."""
    from derain_ros.engine.tensorrt.engine import cuda

    context, stream = engine._context, engine._stream
    events = [checked(cuda.cudaEventCreate()) for _ in range(2)]

    def measure() -> float:
        checked(cuda.cudaEventRecord(events[0], stream))
        if not context.execute_async_v3(int(stream)):
            raise EngineError('the frame was not taken')
        checked(cuda.cudaEventRecord(events[1], stream))
        checked(cuda.cudaEventSynchronize(events[1]))
        return float(checked(cuda.cudaEventElapsedTime(*events)))

    return measure


def measure_engine(
    model: str, size: Size, precision: str, cache: EngineCache, count: int
) -> dict[str, object]:
    """Build one engine and measure it, or say why not."""
    from derain_ros.engine.tensorrt.engine import TensorRtEngine

    row: dict[str, object] = {**size._asdict(), 'precision': precision}
    frames = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    try:
        entry = build_engine(model, size, precision=precision, cache=cache)
        row['build_s'] = entry.facts.seconds
        for graph in (True, False):
            with TensorRtEngine(entry, cuda_graph=graph) as engine:
                name = 'graph' if engine.uses_cuda_graph else 'steps'
                row['runs_in'] = engine.precision
                row[f'copies, {name}'] = percentiles(with_copies(engine, frames), count)
                if not graph:
                    row['engine alone'] = percentiles(without_copies(engine), count)
    except EngineError as error:
        row['not run'] = str(error)
    return row


def show(row: dict) -> str:
    """Return a row of results in words."""
    where = '{width}x{height}, batch {batch}, {precision}: '.format(**row)
    if 'not run' in row:
        return f'{where}not run: {row["not run"]}'
    return where + '; '.join(
        f'{name} {times["p50_ms"]:.2f} ms (p99 {times["p99_ms"]:.2f})'
        for name, times in row.items()
        if isinstance(times, dict)
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('--model', default='fast')
    parser.add_argument('--sizes', nargs='+', default=SIZES, metavar='WIDTHxHEIGHT')
    parser.add_argument('--batches', type=int, nargs='+', default=[1, 4, 6])
    parser.add_argument('--precisions', nargs='+', default=['fp16', 'fp32'])
    parser.add_argument('--frames', type=int, default=200, help='measured of each')
    parser.add_argument('--json', type=Path)
    arguments = parser.parse_args()
    try:
        gpu, tensorrt = first_gpu(), load_tensorrt()
    except EngineError as error:
        print(error)
        return NOT_RUN
    result = {'gpu': gpu.name, 'tensorrt': f'{tensorrt.flavour} {tensorrt.version}', 'rows': []}
    with TemporaryDirectory() as folder:
        cache = EngineCache(Path(folder) / 'derain_ros')
        for precision, text, batch in product(
            arguments.precisions, arguments.sizes, arguments.batches
        ):
            width, height = map(int, text.split('x'))
            size = Size(batch, height, width)
            row = measure_engine(arguments.model, size, precision, cache, arguments.frames)
            result['rows'].append(row)
            print(show(row), flush=True)
            if arguments.json:  # each time, because time may run out
                arguments.json.write_text(json.dumps(result, indent=2) + '\n')
    if all('not run' in row for row in result['rows']):
        print(result['rows'][0]['not run'])
        return NOT_RUN
    return 0


if __name__ == '__main__':
    sys.exit(main())
