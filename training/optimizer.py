"""What turns gradients into steps: the paper's Adam, or Muon where the weights are matrices."""
import math

from configuration import Config
import torch
from torch import nn, Tensor

from derain_ros.network import DerainNetwork


class ConvolutionMuon(torch.optim.Muon):
    """
    Muon (Jordan et al. 2024) on convolutions, each a matrix [outputs, inputs x window].

    Every singular value of a step is about 1, so that no direction of a weight is left behind;
    scaled so that a learning rate of Adam's fits (Liu et al. 2025).
    """

    def __init__(self, weights: list[nn.Parameter], learning_rate: float,
                 weight_decay: float) -> None:
        """Take weights [outputs, inputs, height, width] in channels_last, and own their .grad."""
        for weight in weights:
            weight.grad = torch.zeros_like(weight)
        matrices = [_matrix(weight.detach()) for weight in weights]
        for matrix, weight in zip(matrices, weights):
            # both are views: whatever happens to the weight's gradient happens to the matrix's
            matrix.grad = _matrix(weight.grad)
        super().__init__(matrices, lr=learning_rate, weight_decay=weight_decay,
                         adjust_lr_fn='match_rms_adamw')


def make_optimizers(config: Config, network: DerainNetwork) -> dict[str, torch.optim.Optimizer]:
    """
    Make the optimizers of an experiment.

    Muon takes all but the two convolutions from and to the image, and the biases, which are left
    to Adam (*inferred*: as embedding and head are in language models).
    """
    inner = []
    if config.optimizer == 'muon':
        inner = [module.weight for stage in (network.matching, network.deraining)
                 for module in stage.modules() if isinstance(module, nn.Conv2d)]
    taken = {id(weight) for weight in inner}
    others = [weight for weight in network.parameters() if id(weight) not in taken]
    # without weight decay this is the paper's Adam
    optimizers: dict[str, torch.optim.Optimizer] = {'adam': torch.optim.AdamW(
        others, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True)}
    if inner:
        optimizers['muon'] = ConvolutionMuon(inner, config.learning_rate, config.weight_decay)
    return optimizers


def learning_rate(config: Config, step: int) -> float:
    """Give the rate of a step, counted from 0: warm-up, then constant or a cosine to 0."""
    decay = (1.0 if config.schedule == 'constant'
             else 0.5 + 0.5 * math.cos(math.pi * step / config.steps))
    return config.learning_rate * decay * min(1.0, (step + 1) / max(config.warm_up, 1))


def _matrix(tensor: Tensor) -> Tensor:
    """View [outputs, inputs, height, width] in channels_last as [outputs, height width inputs]."""
    return tensor.permute(0, 2, 3, 1).view(len(tensor), -1)
