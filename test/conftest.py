"""What several tests share: the research data, where it is there, pictures, and a node."""

from pathlib import Path

from helpers.photos import SHADES
import numpy as np
import pytest


@pytest.fixture
def street() -> np.ndarray:
    """Give a deterministic colourful uint8 picture [H, W, 3] of an odd size, with saturation."""
    rows, columns = np.mgrid[0:93, 0:141].astype(np.float32)
    channels = [128 + 140 * np.sin(rows / a + columns / b) for a, b in ((9, 14), (17, 6), (5, 31))]
    noise = np.random.default_rng(0).normal(0, 12, (93, 141, 3))
    return np.clip(np.stack(channels, axis=-1) + noise, 0, 255).astype(np.uint8)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Give a folder of 24 noisy images, each brighter by ten than the one before."""
    import cv2

    rng = np.random.default_rng(0)
    for index, shade in enumerate(SHADES):
        noise = rng.integers(-5, 6, (160, 240, 3)) * (1, 0, -1)
        image = np.clip(noise + shade, 0, 255).astype(np.uint8)
        path = tmp_path / 'photos' / f'{index:03}.jpg'
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
    return tmp_path / 'photos'
