"""Optimizers: the paper's Adam, or Muon where the weights are matrices."""

import math

import torch
from torch import nn, Tensor

from derain_ros.model.network import DerainNetwork
from training.configuration import Config

# of the quintic iteration, steepest at 0 (Jordan et al. 2024)
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
# 0.95, which is usual, gave 0.4 dB less on light rain after 4,600 steps
MOMENTUM = 0.9


class Muon(torch.optim.Optimizer):
    """
    Muon (Jordan et al. 2024) on convolutions, each a matrix [outputs, inputs x window].

    Every singular value of a step is about 1, so that no direction of a weight is left behind;
    scaled so that a learning rate of Adam's fits (Liu et al. 2025). torch.optim.Muon multiplies
    in bfloat16, which a CPU without it emulates a hundred times slower than float32.
    """

    def __init__(self, weights: list[Tensor], learning_rate: float, weight_decay: float) -> None:
        """Take float32 weights [outputs, inputs, height, width]."""
        super().__init__(weights, {'lr': learning_rate, 'weight_decay': weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move every weight against its gradient's momentum, made orthogonal."""
        for group in self.param_groups:
            for weight in group['params']:
                state = self.state[weight]
                if not state:
                    state['momentum'] = torch.zeros_like(weight)
                momentum = state['momentum'].lerp_(weight.grad, 1 - MOMENTUM)
                direction = orthogonal(weight.grad.lerp(momentum, MOMENTUM).flatten(1))
                weight.mul_(1 - group['lr'] * group['weight_decay'])
                # an element of an orthogonal matrix is as small as its longer side is long
                weight.add_(
                    direction.view(weight.shape),
                    alpha=-0.2 * group['lr'] * math.sqrt(max(direction.shape)),
                )


def orthogonal(matrix: Tensor) -> Tensor:
    """Return about the nearest orthogonal matrix [m, n]: singular values from 0.7 to 1.2."""
    a, b, c = COEFFICIENTS
    wide = matrix if len(matrix) <= matrix.shape[1] else matrix.T
    wide = wide / wide.norm().clamp(min=1e-7)
    for _ in range(ITERATIONS):
        gram = wide @ wide.T
        wide = torch.addmm(wide, torch.addmm(gram, gram, gram, beta=b, alpha=c), wide, beta=a)
    return wide if len(matrix) <= matrix.shape[1] else wide.T.contiguous()


def make_optimizers(
    config: Config, network: DerainNetwork, muon: type[Muon] = Muon
) -> dict[str, torch.optim.Optimizer]:
    """
    Make the optimizers of an experiment.

    Muon takes all but the two convolutions from and to the image, and the biases, which are left
    to Adam (*inferred*: as embedding and head are in language models).

    :param muon: its form for the device that trains.
    """
    inner: list[Tensor] = []
    if config.optimizer == 'muon':
        inner = [
            module.weight
            for stage in (network.matching, network.deraining)
            for module in stage.modules()
            if isinstance(module, nn.Conv2d)
        ]
    taken = {id(weight) for weight in inner}
    others = [weight for weight in network.parameters() if id(weight) not in taken]
    # without weight decay this is the paper's Adam
    optimizers: dict[str, torch.optim.Optimizer] = {
        'adam': torch.optim.AdamW(
            others, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
        )
    }
    if inner:
        optimizers['muon'] = muon(inner, config.learning_rate, config.weight_decay)
    return optimizers


def check_state(optimizer: torch.optim.Optimizer) -> None:
    """
    Check a state that was loaded after steps were taken; torch takes it as it is.

    :raises ValueError: something is missing, or of another shape than its weight.
    """
    expected = {'momentum'} if isinstance(optimizer, Muon) else {'step', 'exp_avg', 'exp_avg_sq'}
    weights = [weight for group in optimizer.param_groups for weight in group['params']]
    for weight in weights:
        state = optimizer.state.get(weight, {})
        if expected - state.keys():
            raise ValueError(f'an optimizer misses {", ".join(sorted(expected - state.keys()))}')
        for name in expected - {'step'}:
            if state[name].shape != weight.shape:
                raise ValueError(
                    f'{name} of an optimizer has the shape {list(state[name].shape)}, and its '
                    f'weight {list(weight.shape)}'
                )


def learning_rate(config: Config, step: int) -> float:
    """Return the rate of a step, counted from 0: warm-up, then constant or a cosine to 0."""
    decay = (
        1.0
        if config.schedule == 'constant'
        else 0.5 + 0.5 * math.cos(math.pi * step / config.steps)
    )
    return config.learning_rate * decay * min(1.0, (step + 1) / max(config.warm_up, 1))
