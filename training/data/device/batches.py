"""
What the network sees in a step, cut on the device that trains.

The same sources in the same shares as ``training.data.batches``, but other random numbers: torch
draws them on the device. What a batch holds depends on the seed, the step and the rank alone; on
a GPU, real rain of more than ``POOL_FRAMES`` frames comes from those decoded by then, and what
the host cuts from what it has cut by then.
"""

from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from training.configuration import Config
from training.data.batches import Batch, Frames
from training.data.dataset import Data
from training.data.device.host import HostPool
from training.data.device.images import chance, chosen, ImageStore, mirrored
from training.data.device.sources import Cut, FORMS, images_of, on_device

# about 700 MB of 1280x720, and as much again while the next ones are taken in
POOL_FRAMES = 256
# A GPU cuts the crops of many steps together: its host starts some thousand small pieces of work
# for each cut, whatever the number of crops, which takes ten times as long as a step.
AHEAD_CROPS = {'cuda': 2048, 'cpu': 0}


class DeviceCrops:
    """The batch of each step, of one process out of several."""

    def __init__(self, data: Data, device: torch.device, config: Config, rank: int = 0) -> None:
        """
        Copy all images to the device.

        :param config: says seed, batch per process, size of crops, and flips.
        :raises DataError: real rain cannot be decoded.
        """
        images = [image for _, source in data.sources for image in images_of(source)]
        # one pixel where everything is cut on the host
        store = ImageStore(images or [np.zeros((1, 1, 3), np.uint8)]).to(device)
        here, hosts = data.sources, []
        if device.type == 'cuda':
            here = [(share, source) for share, source in here if type(source) in FORMS]
            hosts = [
                (share, source) for share, source in data.sources if type(source) not in FORMS
            ]
        self._cuts: list[Cut] = [on_device(source, store, config.crop) for _, source in here]
        shares = [share for share, _ in here]
        if hosts:
            seed = (config.seed, rank)
            pool = HostPool(hosts, device, config.crop, seed, config.workers)
            self._cuts.append(pool.cut)
            shares.append(sum(share for share, _ in hosts))
        self._shares = np.array(shares) / sum(shares)
        self._real = None
        if data.real is not None:
            self._real = RealPool(data.real, device, (config.seed, rank))
        self._seed, self._batch, self._size = config.seed, config.batch, config.crop
        self._rank, self._flips = rank, config.flips
        self._generator = torch.Generator(device)
        self._steps = max(1, AHEAD_CROPS[device.type] // config.batch)
        self._ahead: tuple[int, Batch] | None = None

    def __getitem__(self, step: int) -> Batch:
        """Return the batch of a step; on a GPU, cutting it is no more than started."""
        group, place = divmod(step, self._steps)
        if self._ahead is None or self._ahead[0] != group:
            self._ahead = group, self._cut(group)
        part = slice(place * self._batch, (place + 1) * self._batch)
        rainy, clean, real = self._ahead[1]
        return Batch(rainy[part], clean[part], None if real is None else real[part])

    def _cut(self, group: int) -> Batch:
        """Cut the crops of some steps together, in random order."""
        total = self._batch * self._steps
        sequence = np.random.SeedSequence((self._seed, group, self._rank))
        self._generator.manual_seed(int(sequence.generate_state(1, np.uint64)[0]) >> 1)
        # on the host, so that nobody waits for the device to know how many crops to cut
        counts = np.random.default_rng(sequence).multinomial(total, self._shares)
        crops = [
            cut(int(count), self._size, self._generator)
            for cut, count in zip(self._cuts, counts)
            if count
        ]
        order = torch.randperm(total, generator=self._generator, device=self._generator.device)
        rainy, clean = (torch.cat([pair[side] for pair in crops])[order] for side in (0, 1))
        real = None
        if self._real is not None:
            real = self._real.cut(total, self._size, self._generator)
            (real,) = self._finished(real)
        rainy, clean = self._finished(rainy, clean)
        return Batch(rainy, clean, real)

    def _finished(self, *images: Tensor) -> list[Tensor]:
        """Mirror images in grey levels, all alike, and bring them to [0, 1]."""
        if self._flips:
            across, down = (chance(len(images[0]), 0.5, self._generator) for _ in range(2))
            images = tuple(mirrored(image, across, down) for image in images)
        return [(image / 255).contiguous(memory_format=torch.channels_last) for image in images]


class RealPool:
    """Frames of real rain on the device; if there are too many, some, and later others."""

    def __init__(self, frames: Frames, device: torch.device, seed: tuple[int, int]) -> None:
        """
        Decode the first frames.

        :raises DataError: a frame cannot be decoded, and neither can those after it.
        """
        self._frames, self._device = frames, device
        self._rng = np.random.default_rng(seed)
        self._store = self._decode().to(device)
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._next: Future[ImageStore] | None = None

    def cut(self, count: int, size: int, generator: torch.Generator) -> Tensor:
        """
        Cut crops in grey levels, float32 [count, 3, size, size].

        :raises DataError: as ``__init__`` does.
        """
        if self._next is not None and self._next.done():
            self._store, self._next = self._next.result().to(self._device), None
        if self._next is None and len(self._frames) > POOL_FRAMES:
            self._next = self._thread.submit(self._decode)
        numbers = chosen(torch.arange(len(self._store), device=self._device), count, generator)
        return self._store.cut(self._store.draw(numbers, size, generator), size)

    def _decode(self) -> ImageStore:
        """Decode all frames, or as many as the pool takes, drawn at random."""
        total = len(self._frames)
        order = self._rng.permutation(total)[:POOL_FRAMES] if total > POOL_FRAMES else range(total)
        store = ImageStore([self._frames[int(index)] for index in order])
        return store.pin() if self._device.type == 'cuda' else store
