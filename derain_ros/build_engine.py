"""
Build the TensorRT engine of a model ahead of time, on the machine that will run it.

    python3 -m derain_ros.build_engine fast --size 1280x720
"""

import argparse
import logging
import sys
from typing import Any, get_args

from derain_ros.engine.tensorrt.api import describe, load_tensorrt
from derain_ros.engine.tensorrt.build import build_engine, target_gpu
from derain_ros.engine.tensorrt.cache import EngineCache
from derain_ros.engine.tensorrt.entry import CacheError
from derain_ros.engine.tensorrt.graph import Size
from derain_ros.errors import DerainError
from derain_ros.model.weights import Precision
from derain_ros.order import Order


def _list(cache: EngineCache) -> None:
    for entry in cache.entries():
        if isinstance(entry, CacheError):
            print(f'not usable: {entry}')
            continue
        key, facts = entry.key, entry.facts
        print(
            f'{entry.path.name}: {facts.model}, {key.flavour} {key.version} on {key.gpu}, '
            f'{describe(facts.convolutions)}, {len(entry.plan) / 1e6:.1f} MB'
        )


def _prune(cache: EngineCache) -> None:
    tensorrt = load_tensorrt()
    gpu = target_gpu(tensorrt)
    here = (tensorrt.flavour, tensorrt.version, gpu.name, gpu.compute_capability)
    for path in cache.prune(
        lambda key: (key.flavour, key.version, key.gpu, key.compute_capability) == here
    ):
        print(f'removed {path}')


def _build_with_bar(model: str, **options: Any) -> None:
    from tqdm import tqdm

    with tqdm(total=100, unit='%', disable=None) as bar:

        def show(phase: str, done: float) -> None:
            bar.set_description(phase, refresh=False)
            bar.update(max(0, int(100 * done) - bar.n))

        entry = build_engine(model, progress=show, **options)
    print(
        f'{len(entry.plan) / 1e6:.1f} MB, convolutions in {describe(entry.facts.convolutions)}, '
        f'built in {entry.facts.seconds:.1f} s',
        file=sys.stderr,
    )
    print(entry.path)


def _size(text: str) -> tuple[int, int]:
    try:
        width, height = (int(number) for number in text.split('x'))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"'{text}' is not WIDTHxHEIGHT") from error
    return width, height


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('model', nargs='?', help='released model, ONNX file, or safetensors file')
    parser.add_argument('--size', type=_size, metavar='WIDTHxHEIGHT', help='of the frames')
    parser.add_argument('--batch', type=int, default=1, help='frames at a time (default 1)')
    parser.add_argument(
        '--order',
        choices=get_args(Order),
        default='bgr',
        help='channel order of the frames (default bgr)',
    )
    parser.add_argument(
        '--precision',
        choices=get_args(Precision),
        default='fp16',
        help='of the network between the first and last convolution',
    )
    parser.add_argument('--rebuild', action='store_true', help='even where the cache has it')
    parser.add_argument('--list', action='store_true', help='list the engines in the cache')
    parser.add_argument(
        '--prune',
        action='store_true',
        help='remove from the cache what this TensorRT and GPU cannot run, and what is damaged',
    )
    arguments = parser.parse_args()
    build = arguments.model, arguments.size
    if None in build and (any(build) or not (arguments.list or arguments.prune)):
        parser.error('give a model and --size, or --list, or --prune')
    return arguments


def main() -> int:
    logging.basicConfig(format='%(message)s', level=logging.INFO)
    arguments = _arguments()
    try:
        if arguments.prune:
            _prune(EngineCache())
        if arguments.list:
            _list(EngineCache())
        if arguments.model:
            width, height = arguments.size
            _build_with_bar(
                arguments.model,
                size=Size(arguments.batch, height, width),
                order=arguments.order,
                precision=arguments.precision,
                rebuild=arguments.rebuild,
            )
    except DerainError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('cancelled; nothing was kept', file=sys.stderr)
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(main())
