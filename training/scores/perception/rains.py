"""Rain of fixed kinds over dry frames, the same at every call."""

from collections.abc import Callable

import numpy as np

from training.data.drizzle import lit_rain, random_drizzle
from training.data.rain import add_rain, Rain, rain_layer

Fall = Callable[[np.ndarray, np.random.Generator], np.ndarray]

LIGHT = Rain(angle=8.0, density=0.0006, length_px=20.0, brightness=0.3)
HEAVY = Rain(angle=8.0, density=0.006, length_px=28.0, brightness=0.45)
DIRECTIONS = (-25.0, -8.0, 8.0, 25.0)


def _drizzle(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    height, width, _ = image.shape
    return lit_rain(image, random_drizzle(height, width, rng), coloured=0.7)


def _streaks(*rains: Rain) -> Fall:
    def fall(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        height, width = image.shape[:2]
        return add_rain(image, rain_layer(height, width, list(rains), rng))

    return fall


RAINS: dict[str, Fall] = {
    'drizzle': _drizzle,
    'light': _streaks(LIGHT),
    'heavy': _streaks(HEAVY),
    'four directions': _streaks(
        *(Rain(angle=a, density=0.0012, length_px=28.0, brightness=0.35) for a in DIRECTIONS)
    ),
}


def in_rain(image: np.ndarray, kind: str, index: int) -> np.ndarray:
    """
    Return a dry frame in rain; no two frames have the same.

    :param image: uint8 RGB [H, W, 3].
    :param kind: one of RAINS.
    :param index: of the frame, from which the drops are drawn.
    """
    return RAINS[kind](image, np.random.default_rng((list(RAINS).index(kind), index)))
