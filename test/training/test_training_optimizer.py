"""Muon on convolutions against its definition, and the learning rate by the step."""

import numpy as np
import pytest
import torch

from derain_ros.model.network import DerainNetwork, Shape
from training.configuration import Config
from training.loop.optimizer import learning_rate, make_optimizers, Muon, orthogonal

WEIGHT = 'deraining.units.0.blocks.1.2.weight'


def config(**changes: object) -> Config:
    return Config(
        **(
            {
                'shape': 'fast',
                'seed': 1,
                'steps': 100,
                'batch': 1,
                'crop': 16,
                'learning_rate': 1e-3,
                'schedule': 'cosine',
                'optimizer': 'muon',
                'warm_up': 10,
                'weight_decay': 0.0,
                'loss': 'l1',
                'matching': 0.0,
                'ema': 0.9,
                'clip': 1.0,
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


@pytest.fixture
def network() -> DerainNetwork:
    torch.manual_seed(0)
    return DerainNetwork(Shape(channels=16, units=1)).to(memory_format=torch.channels_last)


def step(network: DerainNetwork, **changes: object) -> dict[str, np.ndarray]:
    """Take one step on noise; return the change of every parameter, and its gradient."""
    optimizers = make_optimizers(config(**changes), network)
    before = {name: weight.detach().clone() for name, weight in network.named_parameters()}
    network.zero_grad(set_to_none=False)
    (network(torch.rand(2, 3, 16, 16)) - torch.rand(2, 3, 16, 16)).abs().mean().backward()
    for optimizer in optimizers.values():
        optimizer.step()
    return {
        name: (weight.detach() - before[name]).numpy()
        for name, weight in network.named_parameters()
    }


def test_muon_turns_the_gradient_into_the_nearest_orthogonal_matrix(
    network: DerainNetwork,
) -> None:
    change = step(network)[WEIGHT]
    gradient = dict(network.named_parameters())[WEIGHT].grad.numpy()

    left, _, right = np.linalg.svd(gradient.reshape(16, -1), full_matrices=False)
    # as long as a step of Adam's: 0.2 per element, times the rate
    expected = -1e-3 * 0.2 * np.sqrt(9 * 16) * left @ right
    cosine = (change.reshape(16, -1) * expected).sum() / (
        np.linalg.norm(change) * np.linalg.norm(expected)
    )
    assert cosine > 0.95  # five iterations leave singular values between about 0.7 and 1.2
    singular = np.linalg.svd(change.reshape(16, -1), compute_uv=False)
    assert 0.6 < singular.min() / 2.4e-3 <= singular.max() / 2.4e-3 < 1.3


@pytest.mark.parametrize('optimizer', ['adam', 'muon'])
def test_every_parameter_learns(network: DerainNetwork, optimizer: str) -> None:
    for name, change in step(network, optimizer=optimizer).items():
        assert np.abs(change).max() > 0, name


def test_rate_warms_up_and_falls_along_a_cosine_to_zero() -> None:
    rates = [learning_rate(config(), step) for step in range(101)]
    assert rates[0] == pytest.approx(1e-4, rel=1e-3)
    assert rates[9] == pytest.approx(1e-3 * (0.5 + 0.5 * np.cos(np.pi * 0.09)))
    assert rates[50] == pytest.approx(5e-4)
    assert rates[100] == pytest.approx(0.0, abs=1e-12)


def test_constant_rate_without_warm_up_is_the_papers() -> None:
    paper = config(schedule='constant', warm_up=0, learning_rate=5e-4)
    assert {learning_rate(paper, step) for step in range(101)} == {5e-4}


def test_muon_has_momentum_and_weight_decay() -> None:
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(4, 3, 3, 3))
    expected, muon = weight.detach().clone(), Muon([weight], 0.1, weight_decay=0.5)
    first, second = torch.randn(2, 4, 3, 3, 3)

    # of Nesterov, with 0.9 of the past and 0.1 of the present
    means = 0.1 * first, 0.09 * first + 0.1 * second
    for gradient, mean in zip((first, second), means):
        weight.grad = gradient.clone()
        muon.step()
        direction = orthogonal((0.1 * gradient + 0.9 * mean).flatten(1)).view(weight.shape)
        expected = expected * (1 - 0.1 * 0.5) - 0.1 * 0.2 * 27**0.5 * direction

    torch.testing.assert_close(weight.detach(), expected)
