"""Two steps of training against the same worked out by hand, and what a run gives of itself."""

from copy import deepcopy
import io
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load
import torch
from torch import nn
from tqdm import tqdm

from derain_ros.model.export import load_network
from derain_ros.model.network import DerainNetwork, Shape, SHAPES
from derain_ros.model.released import MODELS
from training.configuration import Config, Real
from training.data.batches import Batch
from training.data.dataset import Data
from training.data.pairs import Pair
from training.errors import RunError
from training.loop.checkpoints import start_network
from training.loop.losses import matching, supervised
from training.loop.optimizer import learning_rate
from training.loop.reporting import Board, validate
from training.loop.run import Run

CPU = torch.device('cpu')


def config(**changes: object) -> Config:
    return Config(
        **(
            {
                'shape': Shape(channels=4, units=1),
                'seed': 1,
                'steps': 4,
                'batch': 2,
                'crop': 16,
                'learning_rate': 1e-2,
                'schedule': 'cosine',
                'optimizer': 'adam',
                'warm_up': 2,
                'weight_decay': 0.1,
                'real': Real(folders=['real'], crops_per_frame=2),
                'loss': 'charbonnier+ssim',
                'matching': 2.0,
                'ema': 0.9,
                'clip': 0.05,
                'precision': 'float32',
                'workers': 0,
                'validate_every': 1,
                'checkpoint_every': 1,
                'validation': [1, 2],
                'pairs': {'pairs': 1.0},
            }
            | changes
        )
    )


def batches() -> list[Batch]:
    """Return two batches, the second with far smaller gradients."""
    noise = np.random.default_rng(0).random((2, 3, 2, 3, 16, 16), np.float32)
    return [
        Batch(
            *(
                torch.from_numpy(crops).contiguous(memory_format=torch.channels_last) * scale
                for crops in batch
            )
        )
        for scale, batch in zip((1.0, 0.1), noise)
    ]


@pytest.mark.parametrize('normalise', [False, True])
def test_two_steps_are_those_worked_out_by_hand(normalise: bool) -> None:
    experiment = config(normalise_matching=normalise)
    run = Run(experiment, CPU)
    network = deepcopy(run.network)
    adam = torch.optim.AdamW(network.parameters(), weight_decay=0.1, fused=True)
    snapshots = []

    for step, (rainy, clean, real) in enumerate(batches()):
        losses = run.learn(Batch(rainy, clean, real))

        adam.param_groups[0]['lr'] = learning_rate(experiment, step)
        supervision = supervised('charbonnier+ssim', network(rainy), clean)
        match = matching(
            network.matched_features(rainy), network.matched_features(real), normalise
        )
        adam.zero_grad()
        (supervision + 2.0 * match).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 0.05)
        adam.step()
        snapshots.append(deepcopy(network.state_dict()))
        torch.testing.assert_close(losses, torch.stack([supervision, match]).detach())

    for name, weight in run.network.state_dict().items():
        torch.testing.assert_close(weight, snapshots[1][name])
    for name, weight in load(run.weights()).items():
        torch.testing.assert_close(weight, 0.9 * snapshots[0][name] + 0.1 * snapshots[1][name])


def set_output(network: DerainNetwork, *colour: float) -> None:
    """Let a network take the same colour, in grey levels, off every image."""
    nn.init.zeros_(network.image_conversion.weight)
    network.image_conversion.bias.data = torch.tensor(colour) / 255


@pytest.fixture
def street16(street: np.ndarray) -> np.ndarray:
    return np.clip(street[:48, :64], 20, 235)


def test_images_are_derained_in_rgb_with_the_averaged_weights(street16: np.ndarray) -> None:
    run = Run(config(), CPU)
    set_output(run.average.module, 10.0, 0.0, -5.0)

    assert np.array_equal(run.derain(street16), street16 - np.array([10, 0, -5]))


def test_a_pair_that_comes_out_identical_is_no_perfect_score(
    street16: np.ndarray, tmp_path: Path
) -> None:
    run, progress = Run(config(), CPU), tqdm(file=io.StringIO())
    set_output(run.average.module, 0.0, 0.0, 0.0)
    dry = Pair('dry', 1, street16, street16)
    rainy = Pair('rainy', 2, street16 + np.uint8(9), street16)

    def score(**validation: list[Pair]) -> float:
        pairs = Data([], None, validation, {})
        return validate(run, pairs, Board(tmp_path, 0, progress), progress)

    assert score(road=[dry, rainy]) == score(road=[rainy]) == score(road=[rainy], sky=[dry])
    darker = Pair('downpour', 3, street16 - np.uint8(18), street16)
    assert score(road=[rainy], sky=[darker]) == (score(road=[rainy]) + score(sky=[darker])) / 2
    assert 25 < score(road=[rainy]) < 35
    assert score(sky=[dry]) == -np.inf


def test_a_run_starts_from_released_weights() -> None:
    started = start_network(config(shape=SHAPES['fast'], start='fast')).state_dict()

    released = load_network(MODELS / 'fast.onnx').state_dict()
    assert all(torch.equal(started[name], weight) for name, weight in released.items())
    with pytest.raises(RunError, match=r'fast\.onnx: is of Shape\(channels=48.*make them'):
        start_network(config(start='fast'))
