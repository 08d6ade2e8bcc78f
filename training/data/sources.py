"""What rainy/clean crops are cut from: pairs, rain synthesized or composited."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from training.data.pairs import Pair
from training.data.rain import (
    add_rain,
    haze,
    rain_layer,
    rain_of,
    random_rain,
    road_depth,
    screen_rain,
)
from training.data.sensor import random_sensor

HAZE_SHARE = 0.5
SCREEN_SHARE = 0.2
AIRLIGHT = (0.6, 1.0)
HAZE_DENSITIES = (0.005, 0.01, 0.015)


class Source(Protocol):
    """Something to cut rainy/clean crops from."""

    def crop(self, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Cut a rainy and a clean crop, uint8 RGB [size, size, 3]."""


@dataclass(frozen=True)
class PairSource:
    """
    Crops of rainy/clean pairs.

    :param crops_per_image: so many fixed windows per image, as the paper has them (100); None
        draws new ones for ever.
    """

    pairs: list[Pair]
    crops_per_image: int | None = None

    def crop(self, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        index = int(rng.integers(len(self.pairs)))
        pair = self.pairs[index]
        if self.crops_per_image is not None:
            rng = np.random.default_rng((index, int(rng.integers(self.crops_per_image))))
        window = random_window(pair.clean, size, rng)
        return pair.rainy[window], pair.clean[window]


@dataclass(frozen=True)
class SyntheticSource:
    """
    Crops of clean images under synthesized rain.

    The haze and the noise are in the clean crop too: the network is to remove the rain alone.
    """

    images: list[np.ndarray]
    sensor: float = 0.5

    def crop(self, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        image = self.images[rng.integers(len(self.images))]
        window = random_window(image, size, rng)
        clean = image[window]
        if rng.random() < HAZE_SHARE:
            rows = np.arange(window[0].start, window[0].stop)[:, None] / len(image)
            clean = haze(
                clean, road_depth(rows), rng.choice(HAZE_DENSITIES), rng.uniform(*AIRLIGHT)
            )
        join = screen_rain if rng.random() < SCREEN_SHARE else add_rain
        rainy = join(clean, rain_layer(size, size, random_rain(rng), rng))
        return photographed(rainy, clean, self.sensor, rng)


@dataclass(frozen=True)
class LayerSource:
    """
    Crops of clean images under the rain of existing pairs: background + rain.

    Backgrounds are mirrored apart from the rain, so that without ``flips`` it keeps its slant.

    :param sensor: share of crops that get the noise and the JPEG of a camera, here as elsewhere.
    """

    images: list[np.ndarray]
    pairs: list[Pair]
    sensor: float = 0.5

    def crop(self, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        image = self.images[rng.integers(len(self.images))]
        pair = self.pairs[rng.integers(len(self.pairs))]
        clean = mirrored(image[random_window(image, size, rng)], rng)
        window = random_window(pair.clean, size, rng)
        layer = rain_of(pair.rainy[window], pair.clean[window])
        return photographed(add_rain(clean, layer), clean, self.sensor, rng)


def random_window(image: np.ndarray, size: int, rng: np.random.Generator) -> tuple[slice, slice]:
    """Draw a size x size window that lies inside an image [H, W, 3]."""
    top, left = (int(rng.integers(side - size + 1)) for side in image.shape[:2])
    return slice(top, top + size), slice(left, left + size)


def mirrored(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mirror a crop [..., H, W, 3] left to right and top to bottom, each at even odds."""
    across, down = rng.random(2) < 0.5
    return crop[..., :: -1 if down else 1, :: -1 if across else 1, :]


def photographed(
    rainy: np.ndarray, clean: np.ndarray, share: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Add the noise and the JPEG of one camera to a share of the crops, the same to both."""
    if rng.random() >= share:
        return rainy, clean
    sensor = random_sensor(rng)
    return sensor(rainy), sensor(clean)
