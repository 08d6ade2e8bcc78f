"""
What the network sees in a step: random crops of pairs and of real rain, as tensors.

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
from training.data.sources import mirrored, random_window, Source


class Frames(Protocol):
    """Real rain: a fixed number of frames, each uint8 RGB [H, W, 3], decoded when asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> np.ndarray: ...


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
        _ErrorsReturned(crops),
        batch_size=None,
        sampler=range(start, steps),
        num_workers=workers,
        pin_memory=torch.cuda.is_available(),
    ):
        if isinstance(batch, DataError):
            raise batch
        yield batch


@dataclass(frozen=True)
class _ErrorsReturned(Dataset):
    """Returns errors of the data: raised in a worker process they would come with a traceback."""

    crops: Crops

    def __getitem__(self, step: int) -> Batch | DataError:
        try:
            return self.crops[step]
        except DataError as error:
            return error


def _to_batch(crops: list[np.ndarray]) -> Tensor:
    images = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2)
    return images.to(torch.float32, memory_format=torch.channels_last) / 255
