#!/usr/bin/env python3
"""
Train the arms of a study, each with another ingredient, equally long, and score them.

    OMP_NUM_THREADS=1 python3 training/ablation.py --study training/studies/recipe.yaml \
        --data DATA --out runs/recipe

Run it again after an interruption, and it goes on. With --minutes, trainings are equally long in
time, and one that was interrupted begins anew.
"""

import argparse
import csv
from io import StringIO
from itertools import product
from pathlib import Path
import shutil
import sys

if not __package__:  # run as a file: lets this repository be imported
    import _root  # noqa: F401

import cv2
import torch

from derain_ros.errors import DataError
from derain_ros.files import write_atomically
from derain_ros.media.videos import video_facts
from training.commands import command
from training.configuration import Config
from training.data.recordings import read_stills
from training.data.scenes import read_scenes
from training.errors import ConfigError, RunError
from training.loop.checkpoints import read_checkpoint
from training.scores.ablation import held_out, KEYS, score, Sets, table
from training.scores.gate import read_clip
from training.study import read_study, recordings, Study, Training, trainings
from training.train import start_run, train

CPU = torch.device('cpu')


def ablate(
    study: Study, configs: dict[str, Config], root: Path, out: Path, minutes: float | None = None
) -> None:
    """
    Train and score every arm with every seed; ``out`` receives scores.csv and scores.md.

    :param configs: of the arms to train.
    :raises DataError: a folder or video cannot be read, or a folder has none of an arm's
        validation pairs.
    :raises RunError: an arm is no longer the experiment that was trained, or shorter, or
        scores.csv is of other sets.
    """
    sets = read_sets(study, configs, root)
    rows = _rows(out / 'scores.csv', [*KEYS, *sets.columns])
    for seed, (arm, config) in product(study.seeds, configs.items()):
        for training in trainings(study, arm, config, seed):
            key = {'arm': arm, 'seed': str(seed), 'left_out': training.left_out}
            key['minutes'] = '' if minutes is None else f'{minutes:g}'
            known = [row for row in rows if key.items() <= row.items()]
            run = out / training.folder
            steps = _take(training, root, run, minutes, bool(known))
            if known and known[0]['steps'] == str(steps):
                continue
            weights = run / 'last.safetensors'
            scores = score(sets, training.config, training.cameras, weights)
            rows = [row for row in rows if row not in known]
            rows.append(key | {'steps': str(steps)} | {k: str(v) for k, v in scores.items()})
            _write(rows, list(sets.stills), out)


def _take(training: Training, root: Path, run: Path, minutes: float | None, known: bool) -> int:
    """Train what is not trained yet, and return how many steps it took."""
    if minutes is None:
        # what is finished takes no step, and what was changed since is refused
        train(training.config, root, run, resume=run.exists())
    elif known:
        start_run(training.config, CPU, run, resume=True)  # refused where it was changed
    else:
        # half a run has had some of its time
        shutil.rmtree(run, ignore_errors=True)
        train(training.config, root, run, resume=False, minutes=minutes)
    return int(read_checkpoint(run / 'checkpoint.pt', CPU)['step'])


def read_sets(study: Study, configs: dict[str, Config], root: Path) -> Sets:
    """
    Read what is scored; sets that are trained on too are swapped as they are there.

    :raises DataError: as ``ablate`` does.
    """
    pairs = {name: pairs for config in configs.values() for name, pairs in config.pairs.items()}
    scenes = {
        name: read_scenes(
            root / folder, 'pairs', pairs[folder].swapped if folder in pairs else None
        )
        for name, folder in study.scores.items()
    }
    for (arm, config), name in product(configs.items(), scenes):
        if not held_out(scenes[name], config):
            first, last = config.validation
            raise DataError(
                f'{root / study.scores[name]}: has no pair numbered {first} to {last} '
                f"to score arm '{arm}' with; change validation, or the folder"
            )
    stills_of = {str(r): r for config in configs.values() for r in recordings(config)}
    for recording in stills_of.values():
        read_stills(recording, root)  # the search, which is made once, is nobody's time
    stills = [read_clip(str(root / clip)) for clip in study.cameras]
    dry = None if study.dry is None else root / study.dry
    if dry:
        video_facts(dry)
    return Sets(scenes, {still.name: still for still in stills}, dry)


def _write(rows: list[dict], cameras: list[str], out: Path) -> None:
    text = StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(out / 'scores.csv', text.getvalue().encode())
    write_atomically(out / 'scores.md', table(rows, cameras).encode())


def _rows(path: Path, columns: list[str]) -> list[dict]:
    if not path.exists():
        return []
    with path.open(newline='') as file:
        rows = list(csv.DictReader(file))
    if rows and list(rows[0]) != columns:
        raise RunError(
            f'{path}: has the columns {", ".join(rows[0])}, and the study gives '
            f'{", ".join(columns)}; choose another --out'
        )
    return rows


@command
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('--study', type=Path, required=True, help='a file like those in studies/')
    parser.add_argument('--data', type=Path, required=True, help='folder of the image folders')
    parser.add_argument('--out', type=Path, required=True, help='folder for runs and scores')
    parser.add_argument('--arms', nargs='+', help='only these of the study')
    parser.add_argument('--minutes', type=float, help='of each training, in place of its steps')
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    study, configs = read_study(arguments.study)
    for arm in arguments.arms or []:
        if arm not in configs:
            raise ConfigError(
                f"{arguments.study}: has no arm '{arm}'; it has " + ', '.join(configs)
            )
    chosen = {arm: configs[arm] for arm in arguments.arms or configs}
    ablate(study, chosen, arguments.data, arguments.out, arguments.minutes)


if __name__ == '__main__':
    sys.exit(main())
