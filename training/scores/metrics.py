"""
PSNR and SSIM in the two protocols of the field.

``Y``: 8-bit luma as MATLAB's rgb2ycbcr gives it, which Rain100H/L scores are published in.
``RGB``: all three channels, 8-bit. The same image scores about 1.3 dB higher in Y, because
MATLAB's luma spans 16 to 235.
"""

import math

import cv2
import numpy as np
import torch

from training.scores.similarity import ssim as ssim_of_batch

# MATLAB's rgb2ycbcr, ITU-R BT.601: Y spans 16 to 235 for RGB in [0, 255]
LUMA_WEIGHTS = np.array([65.481, 128.553, 24.966]) / 255
LUMA_OFFSET = 16.0
DETAIL_SIGMA_PX = 5.0


def luma(image: np.ndarray) -> np.ndarray:
    """Convert uint8 RGB [H, W, 3] to luma as MATLAB's rgb2ycbcr does: uint8 [H, W]."""
    return np.rint(image.astype(np.float64) @ LUMA_WEIGHTS + LUMA_OFFSET).astype(np.uint8)


def psnr(image: np.ndarray, reference: np.ndarray) -> float:
    """
    Return the PSNR in dB of two uint8 images of one shape; infinite where they are identical.

    :raises ValueError: the shapes differ.
    """
    _check_shapes(image, reference)
    error = np.mean((image.astype(np.float64) - reference.astype(np.float64)) ** 2)
    return math.inf if error == 0 else float(10 * np.log10(255**2 / error))


def ssim(image: np.ndarray, reference: np.ndarray) -> float:
    """
    Return the SSIM of two uint8 images [H, W] or [H, W, C], H and W at least 11.

    Gaussian window 11x11, σ 1.5, only where it fits whole; the mean over channels.

    :raises ValueError: the shapes differ.
    """
    _check_shapes(image, reference)
    planes = (
        torch.from_numpy(np.atleast_3d(array).astype(np.float64) / 255).permute(2, 0, 1)
        for array in (image, reference)
    )
    return ssim_of_batch(*(plane[None] for plane in planes)).item()


def scores(image: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """Return psnr_y, ssim_y, psnr_rgb and ssim_rgb of two uint8 RGB images [H, W, 3]."""
    y, reference_y = luma(image), luma(reference)
    return {
        'psnr_y': psnr(y, reference_y),
        'ssim_y': ssim(y, reference_y),
        'psnr_rgb': psnr(image, reference),
        'ssim_rgb': ssim(image, reference),
    }


def rain_energy_removed(rainy: np.ndarray, output: np.ndarray) -> float:
    """
    Return the energy that was taken away, relative to that of all detail; no measure of quality.

    Σ (Y_in - Y_out)² / Σ (Y_in - blurred Y_in)², Gaussian of σ 5 (*inferred*: no published form).
    0 where nothing changed; a flat image counts as 0.

    :param rainy, output: uint8 RGB [H, W, 3].
    """
    before, after = (luma(image).astype(np.float64) for image in (rainy, output))
    detail = np.sum((before - cv2.GaussianBlur(before, (0, 0), DETAIL_SIGMA_PX)) ** 2)
    return float(np.sum((before - after) ** 2) / detail) if detail > 0 else 0.0


def mean_scores(rows: list[dict[str, float]]) -> dict[str, float | None]:
    """Return the mean of each score over the images where it is finite; None if it is nowhere."""
    means = {}
    for name in rows[0]:
        finite = [row[name] for row in rows if math.isfinite(row[name])]
        means[name] = float(np.mean(finite)) if finite else None
    return means


def _check_shapes(image: np.ndarray, reference: np.ndarray) -> None:
    if image.shape != reference.shape:
        raise ValueError(f'{image.shape} against {reference.shape}: shapes must be equal')
