"""
A mean teacher (Tarvainen and Valpola 2017): real rain without a truth becomes pairs.

The teacher, the averaged weights, de-rains three copies of a real crop. Where they come out alike
their mean is the pseudo-label. Elsewhere the teacher does not know, and nothing is learnt.
"""

import torch
from torch import nn, Tensor

# *inferred*
DIMMED = 0.85
LARGEST_DISAGREEMENT = 2 / 255  # of a copy from the mean of all, in the worst channel


@torch.no_grad()
def taught_pairs(teacher: nn.Module, real: Tensor) -> tuple[Tensor, Tensor]:
    """
    Make pairs of real crops; a copy is as it was, mirrored, or dimmed and moved by a pixel.

    :param teacher: de-rains [N, 3, H, W] in [0, 1].
    :param real: [N, 3, H, W] in [0, 1].
    :returns: rainy and clean crops, float32 [N, 3, H, W] in [0, 1], which are the same where the
        copies disagree.
    """
    mirrored, moved = real.flip(3), DIMMED * real.roll((1, 1), (2, 3))
    copies = teacher(torch.cat([real, mirrored, moved])).float().chunk(3)
    outputs = torch.stack(
        [copies[0], copies[1].flip(3), copies[2].roll((-1, -1), (2, 3)) / DIMMED]
    ).clamp(0, 1)
    clean = outputs.mean(dim=0)
    disagreement = (outputs - clean).abs().amax(dim=(0, 2))
    agreed = (disagreement <= LARGEST_DISAGREEMENT)[:, None]
    return torch.where(agreed, real, clean), clean
