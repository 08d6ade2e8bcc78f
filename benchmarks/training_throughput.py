#!/usr/bin/env python3
"""
How fast crops are cut, how fast the network takes them, and what training makes of both.

    python3 benchmarks/training_throughput.py --data DATA [--config training/config/fast.yaml]
    python3 benchmarks/training_throughput.py --data DATA --device-path --batches 8 64 256

Medians over rounds that alternate, so that a busy machine slows all of them. A bag is written
from a folder of clean images, to measure what one reader of bags gives. --device-path measures
what a GPU trains with, also where there is none, and the share of what the device reaches in
products of large matrices.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
import json
import os
from pathlib import Path
import statistics
from tempfile import TemporaryDirectory
import time

import _root  # noqa: F401  lets this repository be imported
import cv2
import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from training.configuration import Bag, Config, read_config
from training.data.batches import batches, Crops
from training.data.dataset import Data, read_data
from training.data.device.batches import DeviceCrops
from training.loop.device import FORMATS
from training.loop.device_run import DeviceRun, WARM_UP_STEPS
from training.loop.run import Run

CONFIG = Path(__file__).resolve().parents[1] / 'training' / 'config' / 'fast.yaml'


def wait_for_gpu() -> None:
    """Wait until the GPU has done all it was given, where there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def rate(work: Callable[[int], object], count: int) -> float:
    """Return how often per second a piece of work is done; it is done ``count`` times."""
    wait_for_gpu()
    start = time.perf_counter()
    for index in range(count):
        work(index)
    wait_for_gpu()
    return count / (time.perf_counter() - start)


def measure(run: Run, data: Data, rounds: int, steps: int) -> dict[str, float]:
    """Return images per second: of the data alone, the network alone, and training."""
    config = run.config
    crops: Crops | DeviceCrops = Crops(
        data.sources,
        data.real,
        seed=config.seed,
        batch=config.batch,
        size=config.crop,
        crops_per_frame=config.real.crops_per_frame,
    )
    if isinstance(run, DeviceRun):
        crops = DeviceCrops(data, run.device, config)
    fixed = crops[0]
    for _ in range(WARM_UP_STEPS + 2):
        run.learn(fixed)
    rates: dict[str, list[float]] = {'data': [], 'network': [], 'training': []}
    for index in range(rounds):
        first = index * steps
        rates['data'].append(rate(lambda step, first=first: crops[first + step], steps))
        rates['network'].append(rate(lambda _: run.learn(fixed), steps))
        if isinstance(crops, DeviceCrops):
            rates['training'].append(
                rate(lambda step, first=first: run.learn(crops[first + step]), steps)
            )
            continue
        # of what workers cut ahead of time while nobody looked, nothing is counted
        begun = 2 * config.workers + 1
        ahead = batches(crops, first, first + begun + steps, config.workers)
        for _ in range(begun):
            next(ahead)
        rates['training'].append(rate(lambda _, ahead=ahead: run.learn(next(ahead)), steps))
    return {name: statistics.median(values) * config.batch for name, values in rates.items()}


def flops_per_crop(config: Config) -> int:
    """Count the operations of one crop's share of a step, two to a multiplication with sum."""
    run = Run(replace(config, precision='float32'), torch.device('cpu'))
    crop = torch.rand(1, 3, config.crop, config.crop)
    with FlopCounterMode(display=False) as counter:
        output, features, real = run.branches(crop, crop if config.matching else None)
        (output.sum() + (features.sum() if real is None else real.sum())).backward()
    return counter.get_total_flops()


def peak_flops(run: Run) -> float:
    """Return operations per second in large products of matrices, in the precision of a run."""
    side = 8192 if run.device.type == 'cuda' else 512
    matrix = torch.randn(side, side, device=run.device).to(FORMATS[run.precision])
    products = rate(lambda _: matrix @ matrix, 20)
    return 2 * side**3 * max(products, rate(lambda _: matrix @ matrix, 20))


def measure_bag(images: Path, frames: int) -> dict[str, float]:
    """Return what one process reads from a bag, at random: frames per second, bytes per frame."""
    from training.data.bags import BagFrames
    from training.write_bag import write_bag

    with TemporaryDirectory() as folder:
        os.environ['XDG_CACHE_HOME'] = folder
        bag = Path(folder) / 'bag'
        count = write_bag(images, bag, topic='/images', rate=10.0, storage='mcap')
        size = sum(file.stat().st_size for file in bag.iterdir())
        reader = BagFrames(Bag(path='bag'), Path(folder), smallest=16)
        order = np.random.default_rng(0).integers(0, count, frames)
        return {
            'frames_per_second': rate(lambda index: reader[int(order[index])], frames),
            'bytes_per_frame': size / count,
            'width': reader[0].shape[1],
            'height': reader[0].shape[0],
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('--data', type=Path, required=True)
    parser.add_argument('--config', type=Path, default=CONFIG)
    parser.add_argument('--workers', type=int, help="instead of the experiment's")
    parser.add_argument('--bag-images', default='clean/highway', help='folder under --data')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--steps', type=int, default=20, help='per round')
    parser.add_argument('--device-path', action='store_true', help='as a GPU trains')
    parser.add_argument('--compiled', action='store_true', help='the same, with torch.compile')
    parser.add_argument('--batches', type=int, nargs='+', help="instead of the experiment's")
    parser.add_argument('--json', type=Path)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    config = read_config(arguments.config)
    if arguments.workers is not None:
        config = replace(config, workers=arguments.workers)
    data = read_data(config, arguments.data)
    result = sweep(config, data, arguments)
    if not arguments.device_path and (arguments.data / arguments.bag_images).is_dir():
        result['bag'] = measure_bag(arguments.data / arguments.bag_images, frames=100)
        print(
            'bag            {frames_per_second:8.1f} frames/s of {width}x{height}, '
            '{bytes_per_frame:.0f} bytes each'.format(**result['bag'])
        )
    keep(result, arguments.json)


def sweep(config: Config, data: Data, arguments: argparse.Namespace) -> dict:
    """Measure training with one batch size after another."""
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    result: dict = {'device': torch.cuda.get_device_name() if device.type == 'cuda' else 'CPU'}
    result['flops_per_crop'] = flops_per_crop(config)
    for batch in arguments.batches or [config.batch]:
        config = replace(config, batch=batch)
        run = Run(config, device)
        if arguments.device_path or arguments.compiled:
            run = DeviceRun(config, device, compiled=arguments.compiled)
        rates = measure(run, data, arguments.rounds, arguments.steps)
        result['peak_flops'] = peak_flops(run)
        rates['share_of_peak'] = (
            rates['training'] * result['flops_per_crop'] / result['peak_flops']
        )
        result[f'batch {batch}'] = rates
        show(batch, rates)
        keep(result, arguments.json)  # each time, because time may run out
    return result


def keep(result: dict, path: Path | None) -> None:
    """Write the result where it is asked for."""
    if path is not None:
        path.write_text(json.dumps(result, indent=2) + '\n')


def show(batch: int, rates: dict[str, float]) -> None:
    """Print what one batch size gives."""
    print(f'batch {batch}')
    for name, what in (('data', 'data alone'), ('network', 'network alone')):
        print(f'{what:14} {rates[name]:8.1f} img/s')
    print(
        f'training       {rates["training"]:8.1f} img/s, '
        f'{rates["training"] / rates["network"]:.2f} x the network, '
        f'{rates["share_of_peak"]:.1%} of the peak'
    )


if __name__ == '__main__':
    main()
