#!/usr/bin/env python3
"""
Train the de-raining network on pairs, synthesized rain and unlabelled real rain.

    python3 training/train.py --config training/config/fast.yaml --data DATA --out runs/fast

The same under torchrun trains over processes, GPUs and machines:

    torchrun --nproc-per-node 8 training/train.py --config ... --data ... --out ...
"""

import argparse
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
import sys

if not __package__:  # run as a file: lets this repository be imported
    import _root  # noqa: F401

import cv2
import torch
from torch import Tensor
import torch.distributed
from tqdm import tqdm

from training.commands import command
from training.configuration import Config, read_config
from training.data.batches import Batch, batches, Crops
from training.data.dataset import Data, read_data
from training.data.device.batches import DeviceCrops
from training.errors import RunError
from training.loop.clock import Clock
from training.loop.device import join_processes
from training.loop.device_run import DeviceRun
from training.loop.output import check_room, claimed, keep
from training.loop.reporting import Board, report, validate
from training.loop.run import Run

REPORT_EVERY_STEPS = 20
# what a run writes, in files of weights: best, last, and a checkpoint of the network, its average
# and two moments of each weight, which is written beside the one that it replaces; and one for
# TensorBoard
MOST_FILES = 2 + 2 * 4 + 1


def train(
    config: Config, root: Path, out: Path, resume: bool, minutes: float | None = None
) -> None:
    """
    Train one experiment, or go on training it.

    On a GPU, steps are those of ``DeviceRun``, and crops are cut there too.

    :param root: what the paths in the experiment are relative to.
    :param out: receives checkpoint.pt, last.safetensors, best.safetensors and tensorboard/.
    :param minutes: take no more steps than fit into so many, with reading and the last scores;
        not over several processes, which would count differently.
    :raises DataError: the data cannot be used.
    :raises RunError: the run cannot start or go on, its loss is not finite any more, or its last
        files cannot be written.
    """
    clock = None if minutes is None else Clock(minutes)
    device, rank, processes = join_processes()
    if clock is not None and processes > 1:
        raise RunError(f'--minutes goes with one process, and these are {processes}; set steps')
    with claimed(out) if rank == 0 else nullcontext():
        run = start_run(config, device, out, resume)
        if rank == 0:
            check_room(out, MOST_FILES * len(run.weights()))
            if resume and run.step == 0:
                print(f'{out}: holds no checkpoint to resume from; starting at step 0')
            if run.precision != config.precision:
                print(
                    f'{config.precision}: this CPU has no instructions for it; training in '
                    f'{run.precision}'
                )
        data = read_data(config, root)  # last, because it may take hours
        try:
            take_steps(run, data, out, rank, processes, clock)
        except KeyboardInterrupt:
            if rank == 0:
                print(stopped(run, out))
            raise


def start_run(config: Config, device: torch.device, out: Path, resume: bool) -> Run:
    """Start at step 0, or go on from the checkpoint in ``out``; raises as ``train`` does."""
    checkpoint = out / 'checkpoint.pt'
    # the scaler of fp16 waits for the device at every step; a teacher is known to ``Run`` alone
    waits = config.precision == 'fp16' or config.teacher > 0
    kind = DeviceRun if device.type == 'cuda' and not waits else Run
    if not checkpoint.exists():
        return kind(config, device)
    if not resume:
        raise RunError(f'{out}: holds a run; --resume it, or train into another --out')
    return kind(config, device, checkpoint)


def stopped(run: Run, out: Path) -> str:
    """Return where a run was stopped, and what is left of it."""
    kept = (out / 'checkpoint.pt').exists()
    return f'{out}: stopped at step {run.step}; ' + (
        f'--resume goes on from its last checkpoint, one every {run.config.checkpoint_every} steps'
        if kept
        else f'nothing is kept before the first checkpoint, at {run.config.checkpoint_every} steps'
    )


def cut_batches(run: Run, data: Data, rank: int) -> Iterator[Batch]:
    """Cut the batches of the steps that are left, where the run takes them."""
    config = run.config
    if isinstance(run, DeviceRun):
        device_crops = DeviceCrops(data, run.device, config, rank)
        for step in range(run.step, config.steps):
            yield device_crops[step]
        return
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
    yield from batches(crops, run.step, config.steps, config.workers)


def take_steps(
    run: Run, data: Data, out: Path, rank: int, processes: int, clock: Clock | None = None
) -> None:
    """Take the steps that are left, or those that the clock leaves."""
    config, terms = run.config, []
    with tqdm(
        total=config.steps,
        initial=run.step,
        unit='crop',
        disable=rank > 0,
        unit_scale=config.batch * processes,
        mininterval=1,
    ) as progress:
        board = Board(out / 'tensorboard', run.step, progress)
        for batch in cut_batches(run, data, rank):
            loss_terms = run.learn(batch)
            if clock is not None:
                clock.fit(run)
            if rank == 0:
                terms.append(loss_terms)
                progress.update()
                after_step(run, data, terms, out, board, progress)
            if run.step >= run.config.steps:
                break


def after_step(
    run: Run, data: Data, terms: list[Tensor], out: Path, board: Board, progress: tqdm
) -> None:
    """Report, validate and keep what is due; ``terms`` are the losses not reported yet."""
    last = run.step == run.config.steps
    if run.step % REPORT_EVERY_STEPS == 0 or last:
        report(run, torch.stack(terms).mean(0).tolist(), board, progress)
        terms.clear()
    if run.step % run.config.validate_every == 0 or last:
        score = validate(run, data, board, progress)
        if score > run.best and keep(out / 'best.safetensors', run.weights(), last, progress):
            run.best = score
    if run.step % run.config.checkpoint_every == 0 or last:
        keep(out / 'last.safetensors', run.weights(), last, progress)
        keep(out / 'checkpoint.pt', run.checkpoint(), last, progress)


@command
def main() -> None:
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
    parser.add_argument(
        '--minutes', type=float, help='end in time: steps, and the schedule, follow the clock'
    )
    arguments = parser.parse_args()
    cv2.setNumThreads(1)  # beside the network's threads more of them only get in the way
    try:
        train(
            read_config(arguments.config),
            arguments.data,
            arguments.out,
            arguments.resume,
            arguments.minutes,
        )
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


if __name__ == '__main__':
    sys.exit(main())
