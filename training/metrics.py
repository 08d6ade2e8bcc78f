"""PSNR in the two protocols of the field: MATLAB luma (Y) and RGB."""
import numpy as np

# MATLAB's rgb2ycbcr, ITU-R BT.601: Y spans 16 to 235 for RGB in [0, 255]
LUMA_WEIGHTS = np.array([65.481, 128.553, 24.966]) / 255
LUMA_OFFSET = 16.0


def luma(image: np.ndarray) -> np.ndarray:
    """Convert uint8 RGB [H, W, 3] to luma as MATLAB's rgb2ycbcr does: uint8 [H, W]."""
    return np.rint(image.astype(np.float64) @ LUMA_WEIGHTS + LUMA_OFFSET).astype(np.uint8)


def psnr(image: np.ndarray, reference: np.ndarray) -> float:
    """
    Give the PSNR in dB of two uint8 images of one shape; infinite where they are identical.

    :raises ValueError: the shapes differ.
    """
    if image.shape != reference.shape:
        raise ValueError(f'PSNR of {image.shape} against {reference.shape}: shapes must be equal')
    error = np.mean((image.astype(np.float64) - reference.astype(np.float64)) ** 2)
    return float('inf') if error == 0 else float(10 * np.log10(255 ** 2 / error))


def psnr_y(image: np.ndarray, reference: np.ndarray) -> float:
    """Give the PSNR in dB on luma of two uint8 RGB images [H, W, 3]."""
    return psnr(luma(image), luma(reference))
