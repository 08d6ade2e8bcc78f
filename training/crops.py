"""Training batches: random crops of pairs, of synthesized rain and of rain-free images."""
from dataclasses import dataclass

import numpy as np
from pairs import Pair
from rain import add_rain, random_rain, streak_layer
import torch
from torch import Tensor


@dataclass(frozen=True)
class PairSource:
    """Crops of rainy/clean pairs, drawn with probability ``share``."""

    share: float
    pairs: list[Pair]

    def crop(self, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        pair = self.pairs[rng.integers(len(self.pairs))]
        window = random_window(pair.clean, size, rng)
        return pair.rainy[window], pair.clean[window]


@dataclass(frozen=True)
class SyntheticSource:
    """Crops of clean images under synthesized rain, drawn with probability ``share``."""

    share: float
    images: list[np.ndarray]

    def crop(self, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        image = self.images[rng.integers(len(self.images))]
        clean = image[random_window(image, size, rng)]
        return add_rain(clean, streak_layer(size, size, random_rain(rng), rng)), clean


@dataclass(frozen=True)
class IdentitySource:
    """Crops of rain-free images, which must come out as they went in."""

    share: float
    images: list[np.ndarray]

    def crop(self, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        image = self.images[rng.integers(len(self.images))]
        clean = image[random_window(image, size, rng)]
        return clean, clean


Source = PairSource | SyntheticSource | IdentitySource


def random_window(image: np.ndarray, size: int, rng: np.random.Generator) -> tuple[slice, slice]:
    """Draw a size x size window that lies inside an image [H, W, 3]."""
    top, left = (int(rng.integers(side - size + 1)) for side in image.shape[:2])
    return slice(top, top + size), slice(left, left + size)


def batch(sources: list[Source], count: int, size: int, seed: int,
          step: int) -> tuple[Tensor, Tensor]:
    """
    Draw the batch of one step: rainy and clean, float32 [count, 3, size, size] in [0, 1].

    It depends on (seed, step) alone, so a resumed run sees the batches it would have seen.
    """
    rng = np.random.default_rng((seed, step))
    shares = np.array([source.share for source in sources])
    crops = []
    for choice in rng.choice(len(sources), size=count, p=shares / shares.sum()):
        crop = np.stack(sources[choice].crop(size, rng))
        if rng.random() < 0.5:
            crop = crop[:, :, ::-1]
        if rng.random() < 0.5:
            crop = crop[:, ::-1]
        crops.append(crop)
    stacked = torch.from_numpy(np.stack(crops)).permute(1, 0, 4, 2, 3)
    rainy, clean = stacked.to(torch.float32, memory_format=torch.preserve_format) / 255
    return (rainy.contiguous(memory_format=torch.channels_last),
            clean.contiguous(memory_format=torch.channels_last))
