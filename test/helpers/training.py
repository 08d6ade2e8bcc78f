"""An experiment that takes a second, and its runs."""

import os
from pathlib import Path
import subprocess
import sys

import numpy as np
import pytest
from safetensors.torch import load_file
import torch
from torch import Tensor
import yaml

from derain_ros.model.export import load_network
from helpers.data import ROOT
from helpers.frames import reference
from training.configuration import Config
import training.train as training

SCRIPT = ROOT / 'training' / 'train.py'
EXPERIMENT = {
    'shape': 'fast',
    'seed': 1,
    'steps': 6,
    'batch': 4,
    'crop': 16,
    'learning_rate': 1e-3,
    'optimizer': 'muon',
    'warm_up': 2,
    'schedule': 'cosine',
    'weight_decay': 0.0,
    'loss': 'charbonnier+ssim',
    'matching': 1.0,
    'ema': 0.9,
    'clip': 1.0,
    'precision': 'float32',
    'workers': 0,
    'validate_every': 3,
    'checkpoint_every': 3,
    'validation': [5, 6],
    'pairs': {'pairs': 0.5},
    'clean': ['clean'],
    'synthetic': 0.2,
    'layers': 0.2,
    'identity': 0.1,
    'real': {'folders': ['real'], 'crops_per_frame': 2},
}


def experiment(folder: Path, **changes: object) -> Path:
    path = folder / 'experiment.yaml'
    path.write_text(yaml.safe_dump(EXPERIMENT | changes))
    return path


def command(config: Path, data: Path, out: Path, *more: str) -> list[str]:
    return [str(SCRIPT), '--config', str(config), '--data', str(data), '--out', str(out), *more]


def run_script(*arguments: str) -> subprocess.CompletedProcess:
    environment = os.environ | {'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': ''}
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        env=environment,
        cwd='/',
        check=False,
    )


def weights(out: Path) -> dict[str, Tensor]:
    return load_file(out / 'last.safetensors')


def train_in_halves(
    config: Config, data: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> list[int]:
    """Train, interrupted in the fifth step, and resume; return the step before each step taken."""
    learn, calls = training.Run.learn, []

    def interrupted(run: training.Run, batch: object) -> Tensor:
        calls.append(run.step)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return learn(run, batch)

    monkeypatch.setattr(training.Run, 'learn', interrupted)
    with pytest.raises(KeyboardInterrupt):
        training.train(config, data, out, resume=False)
    training.train(config, data, out, resume=True)
    return calls


def assert_equal(left: dict[str, Tensor], right: dict[str, Tensor]) -> None:
    assert left.keys() == right.keys()
    for name, tensor in left.items():
        assert torch.equal(tensor, right[name]), name


class TorchDerainer:
    """Runs weights as they are; the export, which takes long, is tested elsewhere."""

    def __init__(self, weights: str) -> None:
        self._network = load_network(Path(weights))

    def __enter__(self) -> 'TorchDerainer':
        return self

    def __exit__(self, *_: object) -> None: ...

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        return reference(self._network, frame[None])[0]
