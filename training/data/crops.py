"""
Training batches: random crops of pairs, of synthesized rain, of rain-free images, of real rain.

What a batch holds depends on the seed and the step alone: a resumed run sees the batches that it
would have seen, whatever number of worker processes cuts them, and two processes see between them
what one sees with the doubled batch.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from derain_ros.errors import DataError
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
from training.data.sensor import backlit, random_sensor

HAZE_SHARE = 0.5
SCREEN_SHARE = 0.2
BACKLIT_SHARE = 0.4
BACKLIT_GAINS = (2.0, 20.0)
AIRLIGHT = (0.6, 1.0)
HAZE_DENSITIES = (0.005, 0.01, 0.015)


class Source(Protocol):
    """Something to cut rainy/clean crops from."""

    def crop(self, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Cut a rainy and a clean crop, uint8 RGB [size, size, 3]."""


class Frames(Protocol):
    """Real rain: a fixed number of frames, each uint8 RGB [H, W, 3], decoded when asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> np.ndarray: ...


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
        return _photographed(rainy, clean, self.sensor, rng)


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
        return _photographed(add_rain(clean, layer), clean, self.sensor, rng)


@dataclass(frozen=True)
class IdentitySource:
    """Crops of rain-free images, some against the light: they must come out as they went in."""

    images: list[np.ndarray]
    sensor: float = 0.5

    def crop(self, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        image = self.images[rng.integers(len(self.images))]
        clean = image[random_window(image, size, rng)]
        if rng.random() < BACKLIT_SHARE:
            clean = backlit(clean, rng.uniform(*BACKLIT_GAINS))
        return _photographed(clean, clean, self.sensor, rng)


class Batch(NamedTuple):
    """
    One step's crops, float32 [N, 3, size, size] in [0, 1].

    :param real: of real rain, without truth; None where there is none.
    """

    rainy: Tensor
    clean: Tensor
    real: Tensor | None


class Crops(Dataset[Batch]):
    """The batch of each step, of one process out of several."""

    def __init__(
        self,
        sources: list[tuple[float, Source]],
        real: Frames | None,
        *,
        seed: int,
        batch: int,
        size: int,
        crops_per_frame: int = 1,
        rank: int = 0,
        flips: bool = True,
    ) -> None:
        """
        Say what to cut.

        :param sources: with the share of the crops that each gets.
        :param batch: crops per process and step.
        :param rank: of this process.
        :param flips: mirror crops at random, rain and all, across and down.
        """
        self._sources = [source for _, source in sources]
        shares = np.array([share for share, _ in sources])
        self._shares = shares / shares.sum()
        self._real, self._crops_per_frame = real, crops_per_frame
        self._seed, self._batch, self._size, self._rank = seed, batch, size, rank
        self._flips = flips

    def __getitem__(self, step: int) -> Batch:
        first = self._rank * self._batch
        pairs = [
            self._pair(np.random.default_rng((self._seed, step, 0, index)))
            for index in range(first, first + self._batch)
        ]
        rainy, clean = (_to_batch([pair[side] for pair in pairs]) for side in (0, 1))
        real = None if self._real is None else _to_batch(self._real_crops(self._real, step))
        return Batch(rainy, clean, real)

    def _pair(self, rng: np.random.Generator) -> np.ndarray:
        source = self._sources[rng.choice(len(self._sources), p=self._shares)]
        crop = np.stack(source.crop(self._size, rng))
        return mirrored(crop, rng) if self._flips else crop

    def _real_crops(self, frames: Frames, step: int) -> list[np.ndarray]:
        groups = self._batch // self._crops_per_frame
        crops = []
        for group in range(self._rank * groups, (self._rank + 1) * groups):
            rng = np.random.default_rng((self._seed, step, 1, group))
            frame = frames[int(rng.integers(len(frames)))]
            for _ in range(self._crops_per_frame):
                crop = frame[random_window(frame, self._size, rng)]
                crops.append(mirrored(crop, rng) if self._flips else crop)
        return crops


def batches(crops: Crops, start: int, steps: int, workers: int) -> Iterator[Batch]:
    """
    Cut the batches of steps ``start`` to ``steps``, ahead of time in worker processes.

    :raises DataError: as the sources do.
    """
    for batch in DataLoader(
        _Carrier(crops),
        batch_size=None,
        sampler=range(start, steps),
        num_workers=workers,
        pin_memory=torch.cuda.is_available(),
    ):
        if isinstance(batch, DataError):
            raise batch
        yield batch


@dataclass(frozen=True)
class _Carrier(Dataset):
    """Hands on what is wrong with the data: raised in a worker it comes with its traceback."""

    crops: Crops

    def __getitem__(self, step: int) -> Batch | DataError:
        try:
            return self.crops[step]
        except DataError as error:
            return error


def random_window(image: np.ndarray, size: int, rng: np.random.Generator) -> tuple[slice, slice]:
    """Draw a size x size window that lies inside an image [H, W, 3]."""
    top, left = (int(rng.integers(side - size + 1)) for side in image.shape[:2])
    return slice(top, top + size), slice(left, left + size)


def mirrored(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mirror a crop [..., H, W, 3] left to right and top to bottom, each at even odds."""
    across, down = rng.random(2) < 0.5
    return crop[..., :: -1 if down else 1, :: -1 if across else 1, :]


def _photographed(
    rainy: np.ndarray, clean: np.ndarray, share: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    if rng.random() >= share:
        return rainy, clean
    sensor = random_sensor(rng)
    return sensor(rainy), sensor(clean)


def _to_batch(crops: list[np.ndarray]) -> Tensor:
    images = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2)
    return images.to(torch.float32, memory_format=torch.channels_last) / 255
