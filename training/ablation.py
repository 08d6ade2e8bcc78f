#!/usr/bin/env python3
"""
Does matching help? Train without and with it, and score where labels were and were not.

    OMP_NUM_THREADS=1 python training/ablation.py --data DATA --out runs/ablation

Every run takes the same number of steps. Run it again after an interruption, and it goes on.
"""
import argparse
from collections.abc import Iterable
import csv
from dataclasses import replace
from pathlib import Path
import statistics
import sys

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from checkpoints import write_atomically
from configuration import Config, ConfigError, read_config
import cv2
from evaluate import evaluate, open_engine, read_scenes, summarize
from pairs import DataError
import torch
from train import RunError, train

CONFIG = Path(__file__).parent / 'config' / 'ablation.yaml'
# no matching; the paper's; in standard deviations, as strong as the paper's and much weaker
ARMS = {'off': {'matching': 0.0}, 'paper': {'matching': 1.0},
        'normalised': {'matching': 1.0, 'normalise_matching': True},
        'normalised-weak': {'matching': 0.01, 'normalise_matching': True}}
DOMAINS = {'labelled': 'rain_light', 'unlabelled': 'rain_mixed'}


def score(config: Config, weights: Path, root: Path) -> dict[str, float]:
    """Give the mean PSNR and SSIM (Y) on the validation pairs of both domains."""
    engine = open_engine(str(weights))
    first, last = config.validation
    values = {}
    for domain, folder in DOMAINS.items():
        scenes = [scene for scene in read_scenes(root / folder, 'pairs')
                  if scene.number in range(first, last + 1)]
        mean = summarize([row for _, _, row in evaluate(engine, scenes)])['mean']
        values |= {f'{domain}_psnr_y': mean['psnr_y'], f'{domain}_ssim_y': mean['ssim_y']}
    return values


def table(rows: list[dict]) -> str:
    """Give a Markdown table of each arm: mean over the seeds ± standard deviation."""
    columns = [name for name in rows[0] if name not in ('arm', 'seed')]
    lines = ['| ' + ' | '.join(['matching', 'seeds', *columns]) + ' |',
             '|---' * (len(columns) + 2) + '|']
    for arm in dict.fromkeys(row['arm'] for row in rows):
        of_arm = [row for row in rows if row['arm'] == arm]
        cells = [_cell([row[name] for row in of_arm]) for name in columns]
        lines.append(f'| {arm} | {len(of_arm)} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines) + '\n'


def _cell(values: list[float]) -> str:
    spread = f' ± {statistics.stdev(values):.3f}' if len(values) > 1 else ''
    return f'{statistics.mean(values):.3f}{spread}'


def ablate(config: Config, root: Path, out: Path, arms: Iterable[str],
           seeds: Iterable[int]) -> None:
    """Train and score every combination; ``out`` receives scores.csv and scores.md."""
    rows = []
    for seed in seeds:
        for arm in arms:
            run = out / f'{arm}-seed{seed}'
            train(replace(config, **ARMS[arm], seed=seed), root, run, resume=True)
            row = {'arm': arm, 'seed': seed}
            rows.append(row | score(config, run / 'last.safetensors', root))
            with (out / 'scores.csv').open('w', newline='') as file:
                writer = csv.DictWriter(file, fieldnames=list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)
            write_atomically(out / 'scores.md', table(rows).encode())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('--data', type=Path, required=True, help='folder of the image folders')
    parser.add_argument('--out', type=Path, required=True, help='folder for runs and scores')
    parser.add_argument('--config', type=Path, default=CONFIG, help=f'({CONFIG.name})')
    parser.add_argument('--arms', nargs='+', choices=ARMS, default=list(ARMS),
                        help='which ways of matching to compare (all)')
    parser.add_argument('--seeds', type=int, nargs='+', default=[1, 2, 3], help='(1 2 3)')
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    try:
        ablate(read_config(arguments.config), arguments.data, arguments.out, arguments.arms,
               arguments.seeds)
    except (ConfigError, DataError, RunError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
