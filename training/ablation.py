#!/usr/bin/env python3
"""
What does each ingredient give? Train without and with it, equally long, and score both.

    OMP_NUM_THREADS=1 python3 training/ablation.py --study training/studies/recipe.yaml \
        --data DATA --out runs/recipe

Run it again after an interruption, and it goes on.
"""

import argparse
import csv
from dataclasses import dataclass, replace
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

from derain_ros.errors import DataError, EngineError, ModelError
from derain_ros.files import write_atomically
from training.configuration import build, Config, ConfigError, make_config, read_yaml
from training.evaluate import derain, evaluate, open_engine, read_scenes, Scene, summarize
from training.loop.start import RunError
from training.train import train

FRAME = (720, 1280, 3)
TIMED = 5


@dataclass(frozen=True, kw_only=True)
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
    study = build(Study, read_yaml(path), str(path))
    if not study.seeds or min(study.seeds) < 0:
        raise ConfigError(f'{path}: seeds: {study.seeds}; name one or more, from 0 up')
    return study, {
        name: make_config(study.experiment | changes, f"{path}: arm '{name}'")
        for name, changes in study.arms.items()
    }


def held_out(scenes: list[Scene], config: Config) -> list[Scene]:
    """Give those that the experiment does not train on."""
    first, last = config.validation
    return [scene for scene in scenes if scene.number in range(first, last + 1)]


def score(sets: dict[str, list[Scene]], config: Config, weights: Path) -> dict[str, float]:
    """Give the mean PSNR (Y) on the validation pairs of each set, and the ms of a 720p frame."""
    engine = open_engine(str(weights))
    values = {}
    for name, scenes in sets.items():
        rows = [row for _, _, row in evaluate(engine, held_out(scenes, config))]
        values[name] = summarize(rows)['mean']['psnr_y']
    frame = np.random.default_rng(0).integers(0, 256, FRAME, np.uint8)
    times = []
    for _ in range(TIMED + 1):
        start = time.perf_counter()
        derain(engine, frame)
        times.append(time.perf_counter() - start)
    return values | {'ms': statistics.median(times[1:]) * 1e3}


def table(rows: list[dict]) -> str:
    """Give a Markdown table of each arm: mean over the seeds ± standard deviation."""
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
    sets = {name: read_scenes(root / folder, 'pairs') for name, folder in study.scores.items()}
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


def _write(rows: list[dict], out: Path) -> None:
    text = StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(out / 'scores.csv', text.getvalue().encode())
    write_atomically(out / 'scores.md', table(rows).encode())


def slug(arm: str) -> str:
    """Give the name of an arm as a folder's."""
    return re.sub(r'[^a-z0-9]+', '-', arm.lower()).strip('-')


def _rows(path: Path) -> list[dict]:
    if not path.exists():
        return []
    with path.open(newline='') as file:
        return list(csv.DictReader(file))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('--study', type=Path, required=True, help='a file like those in studies/')
    parser.add_argument('--data', type=Path, required=True, help='folder of the image folders')
    parser.add_argument('--out', type=Path, required=True, help='folder for runs and scores')
    parser.add_argument('--arms', nargs='+', help='only these of the study')
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    try:
        study, configs = read_study(arguments.study)
        for arm in arguments.arms or []:
            if arm not in configs:
                raise ConfigError(
                    f"{arguments.study}: has no arm '{arm}'; it has " + ', '.join(configs)
                )
        ablate(study, configs, arguments.data, arguments.out, arguments.arms or list(configs))
    except (ConfigError, DataError, RunError, ModelError, EngineError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
