#!/usr/bin/env python3
"""
Train the de-raining network on rainy/clean pairs, synthesized rain and rain-free images.

    python training/train.py --config training/config/fast.yaml --data DATA --out runs/fast
"""
import argparse
import csv
from dataclasses import dataclass, fields
import os
from pathlib import Path
import sys
import time

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from crops import batch, IdentitySource, PairSource, Source, SyntheticSource
from metrics import psnr_y
import numpy as np
from pairs import DataError, image_files, Pair, read_image, read_pairs
from safetensors.torch import save_file
import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm
import yaml

from derain_ros.network import DerainNetwork, SHAPES

CHECKPOINT_SECONDS = 300


@dataclass(frozen=True)
class Config:
    """One experiment, as read from its YAML file; the shipped files explain every key."""

    shape: str
    seed: int
    steps: int
    batch: int
    crop: int
    learning_rate: float
    ema: float
    clip: float
    validate_every: int
    validation: tuple[int, int]
    pairs: dict[str, float]
    clean: list[str]
    synthetic: float
    identity: float


def read_config(path: Path) -> Config:
    """
    Read an experiment.

    :raises DataError: a key is missing or unknown.
    """
    values = yaml.safe_load(path.read_text())
    names = {field.name for field in fields(Config)}
    for problem, keys in (('unknown', values.keys() - names), ('missing', names - values.keys())):
        if keys:
            raise DataError(f'{path}: {problem} key: {", ".join(sorted(keys))}')
    return Config(**values)


def read_data(config: Config, root: Path) -> tuple[list[Source], dict[str, list[Pair]]]:
    """Read all images into memory: the sources to train on, and the validation pairs by set."""
    first, last = config.validation
    sources: list[Source] = []
    validation = {}
    for name, share in config.pairs.items():
        pairs = read_pairs(root / name)
        validation[name] = [pair for key, pair in pairs.items() if first <= key <= last]
        sources.append(PairSource(
            share, [pair for key, pair in pairs.items() if not first <= key <= last]))
    clean = [read_image(path) for name in config.clean for path in image_files(root / name)]
    sources += [SyntheticSource(config.synthetic, clean), IdentitySource(config.identity, clean)]
    return [source for source in sources if source.share > 0], validation


def charbonnier(output: Tensor, target: Tensor) -> Tensor:
    """Give the mean of sqrt(difference² + 1e-6), a smooth L1."""
    return torch.sqrt((output - target) ** 2 + 1e-6).mean()


@torch.inference_mode()
def validate(network: torch.nn.Module, validation: dict[str, list[Pair]]) -> dict[str, float]:
    """Give the mean PSNR in dB (Y, 8-bit output) of every validation set, whole images."""
    scores = {}
    for name, pairs in validation.items():
        values = []
        for pair in pairs:
            image = torch.from_numpy(pair.rainy).permute(2, 0, 1)[None].float() / 255
            with torch.autocast('cpu', torch.bfloat16):
                output = network(image.contiguous(memory_format=torch.channels_last))
            grey = (output.float().clamp(0, 1) * 255).round().to(torch.uint8)
            values.append(psnr_y(grey[0].permute(1, 2, 0).numpy(), pair.clean))
        scores[name] = float(np.mean(values))
    return scores


def save_atomically(save: object, path: Path) -> None:
    """Write through a temporary file, so that a kill leaves the old file or the new one."""
    temporary = path.with_suffix('.partial')
    save(temporary)
    os.replace(temporary, path)


def train(config: Config, root: Path, out: Path) -> None:
    """Train, or go on training, one experiment; weights and log end up in ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    sources, validation = read_data(config, root)
    torch.manual_seed(config.seed)
    network = DerainNetwork(SHAPES[config.shape]).to(memory_format=torch.channels_last)
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(config.ema))
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.steps)
    parts = {'network': network, 'average': average, 'optimizer': optimizer, 'schedule': schedule}

    checkpoint, start = out / 'last.pt', 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        start = state.pop('step')
        for name, part in parts.items():
            part.load_state_dict(state[name])

    def save(step: int) -> None:
        state = {'step': step} | {name: part.state_dict() for name, part in parts.items()}
        save_atomically(lambda path: torch.save(state, path), checkpoint)
        weights = {name: tensor.contiguous()
                   for name, tensor in average.module.state_dict().items()}
        save_atomically(lambda path: save_file(weights, path, {'shape': config.shape}),
                        out / 'weights.safetensors')

    saved, losses = time.monotonic(), []
    progress = tqdm(range(start, config.steps), initial=start, total=config.steps, unit='step',
                    mininterval=5)
    for step in progress:
        rainy, clean = batch(sources, config.batch, config.crop, config.seed, step)
        with torch.autocast('cpu', torch.bfloat16):
            output = network(rainy)
        loss = charbonnier(output.float(), clean)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), config.clip)
        optimizer.step()
        schedule.step()
        average.update_parameters(network)

        losses.append(loss.item())
        if (step + 1) % config.validate_every == 0 or step + 1 == config.steps:
            scores = validate(average.module, validation)
            log(out / 'log.csv', {'step': step + 1, 'loss': round(float(np.mean(losses)), 5)}
                | {f'psnr_y_{name}': round(score, 3) for name, score in scores.items()})
            progress.write(f'{step + 1}: loss {np.mean(losses):.4f}, PSNR (Y) '
                           + ', '.join(f'{name} {score:.2f}' for name, score in scores.items()))
            losses.clear()
        if time.monotonic() - saved > CHECKPOINT_SECONDS or step + 1 == config.steps:
            save(step + 1)
            saved = time.monotonic()


def log(path: Path, row: dict[str, float]) -> None:
    """Append a row to a CSV file, under a header where it is new."""
    new = not path.exists()
    with path.open('a', newline='') as file:
        writer = csv.DictWriter(file, fieldnames=list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('--config', type=Path, required=True, help='experiment, a YAML file')
    parser.add_argument('--data', type=Path, required=True, help='root of the image folders')
    parser.add_argument('--out', type=Path, required=True,
                        help='folder for checkpoint, weights and log; an unfinished run in it '
                             'goes on where it stopped')
    arguments = parser.parse_args()
    try:
        train(read_config(arguments.config), arguments.data, arguments.out)
    except DataError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
