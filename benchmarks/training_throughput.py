#!/usr/bin/env python3
"""
How fast crops are cut, how fast the network takes them, and what training makes of both.

    python3 benchmarks/training_throughput.py --data DATA [--config training/config/fast.yaml]

Medians over rounds that alternate, so that a busy machine slows all of them. A bag is written
from a folder of clean images, to measure what one reader of bags gives.
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

from training.configuration import Bag, Config, read_config
from training.data.bags import BagFrames
from training.data.batches import Batch, batches, Crops
from training.data.dataset import read_data
from training.loop.run import Run
from training.write_bag import write_bag

CONFIG = Path(__file__).resolve().parents[1] / 'training' / 'config' / 'fast.yaml'


def rate(work: Callable[[int], object], count: int) -> float:
    """Return how often per second a piece of work is done; it is done ``count`` times."""
    start = time.perf_counter()
    for index in range(count):
        work(index)
    return count / (time.perf_counter() - start)


def measure(config: Config, root: Path, rounds: int, steps: int) -> dict[str, float]:
    """Return images per second: of the data alone, the network alone, and training."""
    data = read_data(config, root)
    run = Run(config, torch.device('cuda' if torch.cuda.is_available() else 'cpu'))
    crops = Crops(
        data.sources,
        data.real,
        seed=config.seed,
        batch=config.batch,
        size=config.crop,
        crops_per_frame=config.real.crops_per_frame,
    )
    noise = torch.rand(config.batch, 3, config.crop, config.crop).contiguous(
        memory_format=torch.channels_last
    )
    fixed = Batch(noise, noise, None if data.real is None else noise)
    for _ in range(3):
        run.learn(fixed)
    rates: dict[str, list[float]] = {'data': [], 'network': [], 'training': []}
    for index in range(rounds):
        first = index * steps
        rates['data'].append(rate(lambda step, first=first: crops[first + step], steps))
        rates['network'].append(rate(lambda _: run.learn(fixed), steps))
        # of what workers cut ahead of time while nobody looked, nothing is counted
        begun = 2 * config.workers + 1
        ahead = batches(crops, first, first + begun + steps, config.workers)
        for _ in range(begun):
            next(ahead)
        rates['training'].append(rate(lambda _, ahead=ahead: run.learn(next(ahead)), steps))
    return {name: statistics.median(values) * config.batch for name, values in rates.items()}


def measure_bag(images: Path, frames: int) -> dict[str, float]:
    """Return what one process reads from a bag, at random: frames per second, bytes per frame."""
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
    parser.add_argument('--json', type=Path)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    config = read_config(arguments.config)
    if arguments.workers is not None:
        config = replace(config, workers=arguments.workers)
    result: dict = measure(config, arguments.data, arguments.rounds, arguments.steps)
    print(
        f'data alone     {result["data"]:8.1f} img/s, '
        f'{result["data"] / result["network"]:.1f} x the network'
    )
    print(f'network alone  {result["network"]:8.1f} img/s')
    print(
        f'training       {result["training"]:8.1f} img/s, '
        f'{result["training"] / result["network"]:.2f} x the network'
    )
    result['bag'] = measure_bag(arguments.data / arguments.bag_images, frames=100)
    print(
        'bag            {frames_per_second:8.1f} frames/s of {width}x{height}, '
        '{bytes_per_frame:.0f} bytes each'.format(**result['bag'])
    )
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + '\n')


if __name__ == '__main__':
    main()
