#!/usr/bin/env python3
"""
Train the de-raining network on pairs, synthesized rain and unlabelled real rain.

    python3 training/train.py --config training/config/fast.yaml --data DATA --out runs/fast

The same under torchrun trains over processes, GPUs and machines:

    torchrun --nproc-per-node 8 training/train.py --config ... --data ... --out ...
"""

import argparse
from contextlib import closing
from pathlib import Path
import sys

if not __package__:  # run as a file: lets this repository be imported
    import _root  # noqa: F401

import cv2
import torch
from torch import Tensor
import torch.distributed
from tqdm import tqdm

from derain_ros.errors import DataError
from training.configuration import Config, ConfigError, read_config
from training.data.crops import batches, Crops
from training.data.dataset import Data, read_data
from training.loop.checkpoints import keep
from training.loop.processes import join_processes
from training.loop.reporting import Board, report, validate
from training.loop.run import Run
from training.loop.start import RunError

REPORT_EVERY = 20


def train(config: Config, root: Path, out: Path, resume: bool) -> None:
    """
    Train one experiment, or go on training it.

    :param out: receives checkpoint.pt, last.safetensors, best.safetensors and tensorboard/.
    :raises DataError, RunError, OSError: bad data; no start or end; the last file not written.
    """
    device, rank, processes = join_processes()
    checkpoint = out / 'checkpoint.pt'
    if checkpoint.exists() and not resume:
        raise RunError(f'{out}: holds a run; --resume it, or train into another --out')
    run = Run(config, device, checkpoint if checkpoint.exists() else None)
    data = read_data(config, root)  # last, because it may take hours
    out.mkdir(parents=True, exist_ok=True)
    if rank == 0 and resume and not checkpoint.exists():
        print(f'{out}: holds no checkpoint to resume from; starting at step 0')
    if rank == 0 and run.precision != config.precision:
        print(
            f'{config.precision}: this CPU has no instructions for it; training in {run.precision}'
        )
    crops = Crops(
        data.sources,
        data.real,
        seed=config.seed,
        batch=config.batch,
        size=config.crop,
        crops_per_frame=config.real.crops_per_frame,
        rank=rank,
        flips=config.flips,
    )
    terms: list[Tensor] = []
    with (
        tqdm(
            total=config.steps,
            initial=run.step,
            unit='img',
            disable=rank > 0,
            unit_scale=config.batch * processes,
            mininterval=1,
        ) as progress,
        closing(Board(out / 'tensorboard', run.step, progress)) as board,
    ):
        for batch in batches(crops, run.step, config.steps, config.workers):
            learnt = run.learn(batch)
            if rank == 0:
                terms.append(learnt)
                progress.update()
                after_step(run, data, terms, out, board, progress)


def after_step(
    run: Run, data: Data, terms: list[Tensor], out: Path, board: Board, progress: tqdm
) -> None:
    """Report, validate and keep what is due; ``terms`` are the losses not reported yet."""
    last = run.step == run.config.steps
    if run.step % REPORT_EVERY == 0 or last:
        report(run, torch.stack(terms).mean(0).tolist(), board, progress)
        terms.clear()
    if run.step % run.config.validate_every == 0 or last:
        score = validate(run, data, board, progress)
        if score > run.best and keep(out / 'best.safetensors', run.weights(), last, progress):
            run.best = score
    if run.step % run.config.checkpoint_every == 0 or last:
        keep(out / 'last.safetensors', run.weights(), last, progress)
        keep(out / 'checkpoint.pt', run.checkpoint(), last, progress)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('--config', type=Path, required=True, help='experiment, a YAML file')
    parser.add_argument(
        '--data',
        type=Path,
        required=True,
        help='folder that the paths in the experiment are relative to',
    )
    parser.add_argument('--out', type=Path, required=True, help='folder for all that is kept')
    parser.add_argument('--resume', action='store_true', help='go on with the run in --out')
    arguments = parser.parse_args()
    cv2.setNumThreads(1)  # beside the network's threads more of them only get in the way
    try:
        train(read_config(arguments.config), arguments.data, arguments.out, arguments.resume)
    except (ConfigError, DataError, RunError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
    return 0


if __name__ == '__main__':
    sys.exit(main())
