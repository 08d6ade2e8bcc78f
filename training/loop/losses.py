"""
The losses of the paper: feature-statistics matching, and what supervises the output.

Source: "Single image de-raining algorithm based on semi-supervised learning",
L = L_supervised + ω L_match, L_match = L_mean + L_covariance.
"""

from collections.abc import Callable

import torch
from torch import Tensor
import torch.distributed
import torch.distributed.nn
from torch.nn import functional

from training.scores.similarity import ssim

SMALLEST_VARIANCE = 1e-8


def statistics(features: Tensor) -> tuple[Tensor, Tensor]:
    """
    Return the mean and the covariance of features over all pixels of the batch on all processes.

    :param features: [N, d, H, W], float of any precision; taken as N H W samples of d channels.
    :returns: float32 [d] and [d, d]. The covariance is divided by the number of samples - 1,
        which the paper's formula leaves out (*inferred*).
    """
    samples = features.float().transpose(0, 1).flatten(1)
    count = _over_processes(samples.new_full((), samples.shape[1]))
    mean = _over_processes(samples.sum(dim=1)) / count
    centred = samples - mean[:, None]
    return mean, _over_processes(centred @ centred.T) / (count - 1)


def matching(synthetic: Tensor, real: Tensor, normalise: bool = False) -> Tensor:
    """
    L_match: how far apart the statistics of synthetic and real rain are.

    L_mean = ‖M_s - M_r‖, L_covariance = ‖Cov_s - Cov_r‖ / d; Frobenius norms, not squared.

    :param synthetic: F of the synthetic batch, [N, d, H, W].
    :param real: F of the real batch, [N', d, H', W'].
    :param normalise: measure both in standard deviations of each channel, over both batches.
        Not the paper's: its loss can be made small by making the features small.
    :returns: float32 scalar, 0 or more; its gradient is 0 where the statistics are equal.
    """
    with torch.autocast(synthetic.device.type, enabled=False):
        mean_s, covariance_s = statistics(synthetic)
        mean_r, covariance_r = statistics(real)
        means, covariances = mean_s - mean_r, covariance_s - covariance_r
        if normalise:
            variance = (covariance_s.diagonal() + covariance_r.diagonal()) / 2
            # a channel that is constant has no deviation to measure in
            deviation = torch.sqrt(variance + SMALLEST_VARIANCE)
            means, covariances = means / deviation, covariances / torch.outer(deviation, deviation)
        return torch.linalg.vector_norm(means) + torch.linalg.vector_norm(covariances) / len(means)


def charbonnier(output: Tensor, target: Tensor) -> Tensor:
    """Return the mean of sqrt(difference² + 1e-6), a smooth L1 (Lai et al. 2017)."""
    return torch.sqrt((output - target) ** 2 + 1e-6).mean()


def psnr_loss(output: Tensor, target: Tensor) -> Tensor:
    """
    Return (50 dB - mean PSNR) / 200 dB: the negative of the score, shifted and scaled.

    Every image counts alike, and a shift in brightness, which SSIM hardly sees, counts too.
    Divided by 200 dB its gradient is about as large as that of 1 - SSIM. An error below 50 dB is
    less than a grey level and rounded away: were it to count, a network would rather leave faint
    rain alone than risk it where there is none.
    """
    error = ((output - target) ** 2).mean(dim=(1, 2, 3))
    return (50 + 10 * torch.log10(error + 1e-5)).mean() / 200


# by the names that experiments know them by
SUPERVISED: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    'ssim': lambda output, target: 1 - ssim(output, target),
    'l1': functional.l1_loss,
    'charbonnier': charbonnier,
    'psnr': psnr_loss,
}


def supervised(terms: str, output: Tensor, target: Tensor) -> Tensor:
    """
    Compare the output with the truth.

    :param terms: names out of ``SUPERVISED``, joined with +, such as ``ssim+charbonnier``.
    :param output, target: [N, 3, H, W] in [0, 1]; the output may overshoot.
    :returns: scalar, the sum of the terms.
    """
    return sum(
        (SUPERVISED[term](output, target) for term in terms.split('+')), start=output.new_zeros(())
    )


def _over_processes(tensor: Tensor) -> Tensor:
    """Add up a tensor over all processes; gradients flow back to each."""
    if not torch.distributed.is_initialized():
        return tensor
    return torch.distributed.nn.functional.all_reduce(tensor)
