"""Structural similarity of batches, for the loss and for the scores alike."""

import torch
from torch import Tensor
from torch.nn import functional

SSIM_WINDOW_PX, SSIM_SIGMA_PX = 11, 1.5


def ssim(output: Tensor, target: Tensor) -> Tensor:
    """
    Structural similarity (Wang et al. 2004): Gaussian window 11x11 of σ 1.5 where it fits whole.

    :param output, target: [N, C, H, W] in [0, 1], H and W at least 11.
    :returns: the mean over N of each image's mean over C and pixels; 1 where they are equal.
    """
    channels = output.shape[1]
    offsets = torch.arange(SSIM_WINDOW_PX, dtype=output.dtype, device=output.device) - 5
    gauss = torch.exp(-(offsets**2) / (2 * SSIM_SIGMA_PX**2))
    gauss = (gauss / gauss.sum()).expand(channels, 1, 1, -1)

    def blur(images: Tensor) -> Tensor:
        rows = functional.conv2d(images, gauss, groups=channels)
        return functional.conv2d(rows, gauss.transpose(2, 3), groups=channels)

    mean_o, mean_t = blur(output), blur(target)
    variance_o = blur(output**2) - mean_o**2
    variance_t = blur(target**2) - mean_t**2
    covariance = blur(output * target) - mean_o * mean_t
    c1, c2 = 0.01**2, 0.03**2
    similarity = (
        (2 * mean_o * mean_t + c1)
        * (2 * covariance + c2)
        / ((mean_o**2 + mean_t**2 + c1) * (variance_o + variance_t + c2))
    )
    return similarity.mean()
