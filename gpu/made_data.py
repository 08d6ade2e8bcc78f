"""Images made by code, in the folders that the jobs name: for rehearsals and for rates."""

from pathlib import Path

import cv2
import numpy as np

PAIRS = ('rain_light', 'rain_heavy', 'rain_mixed', 'rain_mixed_more')
CLEAN = ('clean/bsds', 'clean/camvid', 'clean/highway')
# the last of them are for validation, as in the real sets
NUMBERS = (*range(1, 9), 181, 182)


def make_data(root: Path, height: int, width: int) -> None:
    """Write ten pairs into each folder of pairs, and ten images into all others."""
    rng = np.random.default_rng(0)
    for number in NUMBERS:
        shades = rng.integers(20, 180, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
        clean = cv2.resize(shades, (width, height), interpolation=cv2.INTER_LINEAR)
        rainy = clean + (rng.random((height, width, 1)) < 0.05) * np.uint8(60)
        for name in PAIRS:
            _write(root / name / 'clean' / f'norain-{number:03}.png', clean)
            _write(root / name / 'rainy' / f'rain-{number:03}.png', rainy)
        for name in CLEAN:
            _write(root / name / f'{number:03}.png', clean)
        _write(root / 'real' / f'{number:03}.png', rainy)


def _write(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)
