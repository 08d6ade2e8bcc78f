"""Crops of scenes as drizzle is filmed before: at night, out of focus, with thin lines."""

from dataclasses import dataclass

import numpy as np

from training.data.drizzle import lit_rain, random_drizzle, random_scene, sharpened
from training.data.sensor import backlit
from training.data.sources import mirrored, photographed, random_window

# all *inferred*
BACKLIT_SHARE, SHARPENED_SHARE = 0.25, 0.3
BACKLIT_GAINS = (2.0, 20.0)
SHARPENING = (0.2, 1.2)


@dataclass(frozen=True)
class DrizzleSource:
    """
    Crops of clean images under drizzle.

    :param sensor: share of crops that get the noise and the JPEG of a camera, here as elsewhere.
    """

    images: list[np.ndarray]
    sensor: float = 0.5

    def crop(self, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        image = self.images[rng.integers(len(self.images))]
        clean = random_scene(mirrored(image[random_window(image, size, rng)], rng), rng)
        layer = random_drizzle(size, size, rng)
        rainy = lit_rain(clean, layer, coloured=float(rng.random()))
        if rng.random() < SHARPENED_SHARE:
            amount = rng.uniform(*SHARPENING)
            rainy, clean = sharpened(rainy, amount), sharpened(clean, amount)
        return photographed(rainy, clean, self.sensor, rng)


@dataclass(frozen=True)
class IdentitySource:
    """Crops of rain-free scenes, some against the light: they must come out as they went in."""

    images: list[np.ndarray]
    sensor: float = 0.5

    def crop(self, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        image = self.images[rng.integers(len(self.images))]
        clean = random_scene(image[random_window(image, size, rng)], rng)
        if rng.random() < BACKLIT_SHARE:
            clean = backlit(clean, rng.uniform(*BACKLIT_GAINS))
        if rng.random() < SHARPENED_SHARE:
            clean = sharpened(clean, rng.uniform(*SHARPENING))
        return photographed(clean, clean, self.sensor, rng)
