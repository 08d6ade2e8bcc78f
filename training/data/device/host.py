"""Crops that the host cuts ahead of time, of sources that have no form for the device."""

from collections.abc import Iterator
from queue import Queue
from threading import Thread
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from derain_ros.errors import DataError
from training.data.device.images import chosen
from training.data.sources import Source

# 100 MB of crops of 64x64; a training takes each several times if the host cannot keep up
POOL_CROPS = 4096
CHUNK_CROPS = 128


class HostPool:
    """
    Crops on the device, of which new ones replace the oldest as fast as the host cuts them.

    Which crops a batch gets depends on how fast that is, so no two trainings are the same.
    """

    def __init__(
        self,
        sources: list[tuple[float, Source]],
        device: torch.device,
        size: int,
        seed: tuple[int, ...],
        workers: int,
    ) -> None:
        """
        Cut the first crops.

        :param sources: with their shares.
        :param size: of the crops, in pixels.
        :param workers: processes that cut; 0: a thread.
        :raises DataError: as the sources do.
        """
        self._crops = torch.empty((POOL_CROPS, 2, size, size, 3), dtype=torch.uint8, device=device)
        chunks: Iterator[Tensor | DataError] = iter(
            DataLoader(
                _Chunks(sources, size, seed),
                batch_size=None,
                num_workers=workers,
                pin_memory=device.type == 'cuda',
            )
        )
        self._place = 0
        for _ in range(POOL_CROPS // CHUNK_CROPS):
            self._take(next(chunks))
        # as many as the pool holds: older ones would be replaced before anybody saw them
        self._ready: Queue[Tensor | DataError] = Queue(POOL_CROPS // CHUNK_CROPS)
        Thread(target=_fill, args=(self._ready, chunks), daemon=True).start()

    def cut(self, count: int, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """
        Draw crops, after taking what the host has cut by now.

        :returns: rainy and clean, float32 [count, 3, size, size] in grey levels.
        :raises DataError: as the sources do.
        """
        while not self._ready.empty():
            self._take(self._ready.get())
        numbers = torch.arange(POOL_CROPS, device=self._crops.device)
        crops = self._crops[chosen(numbers, count, generator)].permute(1, 0, 4, 2, 3).float()
        return crops[0], crops[1]

    def _take(self, chunk: Tensor | DataError) -> None:
        if isinstance(chunk, DataError):
            raise chunk
        places = slice(self._place, self._place + CHUNK_CROPS)
        self._crops[places].copy_(chunk, non_blocking=True)
        self._place = places.stop % POOL_CROPS


def _fill(ready: 'Queue[Tensor | DataError]', chunks: Iterator[Tensor | DataError]) -> None:
    for chunk in chunks:
        ready.put(chunk)


class _Chunks(IterableDataset[Any]):
    """Crops for ever, in chunks uint8 [CHUNK_CROPS, 2, size, size, 3]; in each worker others."""

    def __init__(
        self, sources: list[tuple[float, Source]], size: int, seed: tuple[int, ...]
    ) -> None:
        self._sources = [source for _, source in sources]
        shares = np.array([share for share, _ in sources])
        self._shares, self._size, self._seed = shares / shares.sum(), size, seed

    def __iter__(self) -> Iterator[Tensor | DataError]:
        worker = torch.utils.data.get_worker_info()
        rng = np.random.default_rng((*self._seed, 0 if worker is None else worker.id))
        while True:
            try:
                yield torch.from_numpy(np.stack([self._crop(rng) for _ in range(CHUNK_CROPS)]))
            except DataError as error:  # raised in a worker it would come with a traceback
                yield error

    def _crop(self, rng: np.random.Generator) -> np.ndarray:
        source = self._sources[rng.choice(len(self._sources), p=self._shares)]
        return np.stack(source.crop(self._size, rng))
