#!/usr/bin/env python3
"""
Train the arms of a study, each with another ingredient, equally long, and score them.

    OMP_NUM_THREADS=1 python3 training/ablation.py --study training/studies/recipe.yaml \
        --data DATA --out runs/recipe

Run it again after an interruption, and it goes on.
"""

import argparse
import csv
from dataclasses import replace
from io import StringIO
from itertools import product
from pathlib import Path
import re
import statistics
import sys
import time

if not __package__:  # run as a file: lets this repository be imported
    import _root  # noqa: F401

import cv2
import numpy as np
from pydantic.dataclasses import dataclass

from derain_ros.errors import DataError
from derain_ros.files import write_atomically
from training.commands import command
from training.configuration import Config, make_config, STRICT_KEYS
from training.data.scenes import numbered, read_scenes, Scene
from training.errors import ConfigError, RunError
from training.scores.evaluation import evaluate, open_derainer, summarize
from training.train import train
from training.yaml_files import parse, read_yaml

TIMED_FRAME = (720, 1280, 3)
TIMED_RUNS = 5


@dataclass(frozen=True, kw_only=True, config=STRICT_KEYS)
class Study:
    """
    An ablation: one experiment, and what its arms change of it.

    :param arms: name to keys of the experiment and their other values.
    :param scores: name of a column to the folder of pairs that it scores.
    """

    experiment: dict
    arms: dict[str, dict]
    scores: dict[str, str]
    seeds: list[int]


def read_study(path: Path) -> tuple[Study, dict[str, Config]]:
    """
    Read a study, and the experiment that each of its arms is.

    :raises ConfigError: the file cannot be read, or an arm is no experiment.
    """
    study = parse(Study, read_yaml(path), str(path))
    if not study.seeds or min(study.seeds) < 0:
        raise ConfigError(f'{path}: seeds: {study.seeds}; name one or more, from 0 up')
    return study, {
        name: make_config(study.experiment | changes, f"{path}: arm '{name}'")
        for name, changes in study.arms.items()
    }


def held_out(scenes: list[Scene], config: Config) -> list[Scene]:
    """Return the scenes that the experiment does not train on."""
    return numbered(scenes, *config.validation)


def score(sets: dict[str, list[Scene]], config: Config, weights: Path) -> dict[str, float]:
    """Return the mean PSNR (Y) on the validation pairs of each set, and the ms of a frame."""
    with open_derainer(str(weights)) as derain:
        values = {}
        for name, scenes in sets.items():
            rows = [row for _, _, row in evaluate(derain, held_out(scenes, config))]
            values[name] = summarize(rows)['mean']['psnr_y']
        frame = np.random.default_rng(0).integers(0, 256, TIMED_FRAME, np.uint8)
        times_s = []
        for _ in range(TIMED_RUNS + 1):
            start = time.perf_counter()
            derain(frame)
            times_s.append(time.perf_counter() - start)
    return values | {'ms': statistics.median(times_s[1:]) * 1e3}


def table(rows: list[dict]) -> str:
    """Return a Markdown table of each arm: mean over the seeds ± standard deviation."""
    columns = [name for name in rows[0] if name not in ('arm', 'seed', 'steps')]
    lines = [
        '| ' + ' | '.join(['arm', 'seeds', *columns]) + ' |',
        '|---' * (len(columns) + 2) + '|',
    ]
    for arm in dict.fromkeys(row['arm'] for row in rows):
        of_arm = [row for row in rows if row['arm'] == arm]
        cells = [_cell([float(row[name]) for row in of_arm]) for name in columns]
        lines.append(f'| {arm} | {len(of_arm)} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines) + '\n'


def _cell(values: list[float]) -> str:
    spread = f' ± {statistics.stdev(values):.2f}' if len(values) > 1 else ''
    return f'{statistics.mean(values):.2f}{spread}'


def ablate(
    study: Study, configs: dict[str, Config], root: Path, out: Path, arms: list[str]
) -> None:
    """
    Train and score every arm with every seed; ``out`` receives scores.csv and scores.md.

    :raises DataError: a folder cannot be read, or has none of an arm's validation pairs.
    :raises RunError: an arm is no longer the experiment that was trained, or shorter, or
        scores.csv is of other sets.
    """
    sets = _read_sets(study, configs, root)
    for arm, (name, scenes) in product(arms, sets.items()):
        if not held_out(scenes, configs[arm]):
            first, last = configs[arm].validation
            raise DataError(
                f'{root / study.scores[name]}: has no pair numbered {first} to {last} '
                f"to score arm '{arm}' with; change validation, or the folder"
            )
    scores = out / 'scores.csv'
    rows = _rows(scores)
    columns = ['arm', 'seed', 'steps', *sets, 'ms']
    if rows and list(rows[0]) != columns:
        raise RunError(
            f'{scores}: has the columns {", ".join(rows[0])}, and the study gives '
            f'{", ".join(columns)}; choose another --out'
        )
    for seed, arm in product(study.seeds, arms):
        config, run = replace(configs[arm], seed=seed), out / f'{slug(arm)}-seed{seed}'
        # what is finished takes no step, and what was changed since is refused
        train(config, root, run, resume=run.exists())
        known = [row for row in rows if (row['arm'], int(row['seed'])) == (arm, seed)]
        if known and int(known[0]['steps']) == config.steps:
            continue
        rows = [row for row in rows if row not in known]
        rows.append(
            {'arm': arm, 'seed': seed, 'steps': config.steps}
            | score(sets, config, run / 'last.safetensors')
        )
        _write(rows, out)


def _read_sets(study: Study, configs: dict[str, Config], root: Path) -> dict[str, list[Scene]]:
    """Read what is scored; sets that are trained on too are swapped as they are there."""
    pairs = {name: pairs for config in configs.values() for name, pairs in config.pairs.items()}
    return {
        name: read_scenes(
            root / folder, 'pairs', pairs[folder].swapped if folder in pairs else None
        )
        for name, folder in study.scores.items()
    }


def _write(rows: list[dict], out: Path) -> None:
    text = StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(out / 'scores.csv', text.getvalue().encode())
    write_atomically(out / 'scores.md', table(rows).encode())


def slug(arm: str) -> str:
    """Return the name of an arm as that of a folder."""
    return re.sub(r'[^a-z0-9]+', '-', arm.lower()).strip('-')


def _rows(path: Path) -> list[dict]:
    if not path.exists():
        return []
    with path.open(newline='') as file:
        return list(csv.DictReader(file))


@command
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('--study', type=Path, required=True, help='a file like those in studies/')
    parser.add_argument('--data', type=Path, required=True, help='folder of the image folders')
    parser.add_argument('--out', type=Path, required=True, help='folder for runs and scores')
    parser.add_argument('--arms', nargs='+', help='only these of the study')
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    study, configs = read_study(arguments.study)
    for arm in arguments.arms or []:
        if arm not in configs:
            raise ConfigError(
                f"{arguments.study}: has no arm '{arm}'; it has " + ', '.join(configs)
            )
    ablate(study, configs, arguments.data, arguments.out, arguments.arms or list(configs))


if __name__ == '__main__':
    sys.exit(main())
