"""Images of any sizes in the memory of a device, and windows cut out of them in batches."""

from collections.abc import Iterable
import copy
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Windows(NamedTuple):
    """
    Where crops are cut, int64 [N] each.

    :param images: numbers in the ``ImageStore``.
    """

    images: Tensor
    tops: Tensor
    lefts: Tensor


class ImageStore:
    """uint8 RGB images, each kept once, one after another in one tensor."""

    def __init__(self, images: Iterable[np.ndarray]) -> None:
        """Copy images, uint8 [H, W, 3], to one tensor of the host; the same one counts once."""
        self._arrays = list({id(image): image for image in images}.values())
        self._numbers = {id(image): number for number, image in enumerate(self._arrays)}
        sizes = np.array([image.shape[:2] for image in self._arrays])
        starts = np.concatenate([[0], np.cumsum(sizes.prod(axis=1))[:-1]])
        pixels = np.concatenate([image.reshape(-1, 3) for image in self._arrays])
        self._pixels, self._starts, self.heights, self._widths = (
            torch.from_numpy(values) for values in (pixels, starts, *sizes.T.copy())
        )

    @property
    def device(self) -> torch.device:
        """Where the images are."""
        return self._pixels.device

    def __len__(self) -> int:
        return len(self._arrays)

    def to(self, device: torch.device) -> 'ImageStore':
        """Return the store on a device; from pinned memory the copy is no more than started."""
        moved = copy.copy(self)
        for name in ('_pixels', '_starts', 'heights', '_widths'):
            setattr(moved, name, getattr(self, name).to(device, non_blocking=True))
        return moved

    def pin(self) -> 'ImageStore':
        """Move the pixels to memory that a GPU copies from by itself; returns the store."""
        self._pixels = self._pixels.pin_memory()
        return self

    def numbers(self, images: Iterable[np.ndarray]) -> Tensor:
        """Return the numbers of images that are in the store, int64 [N]."""
        return torch.tensor([self._numbers[id(image)] for image in images], device=self.device)

    def draw(self, images: Tensor, size: int, generator: torch.Generator) -> Windows:
        """Draw a size x size window inside each of the images numbered, int64 [N]."""
        tops, lefts = (
            _below(sides[images] - size + 1, generator) for sides in (self.heights, self._widths)
        )
        return Windows(images, tops, lefts)

    def cut(self, windows: Windows, size: int) -> Tensor:
        """Return crops in grey levels, float32 [N, 3, size, size], in channels_last."""
        images, tops, lefts = windows
        widths = self._widths[images][:, None, None]
        steps = torch.arange(size, device=self.device)
        first = (self._starts[images])[:, None, None] + tops[:, None, None] * widths
        index = first + steps[:, None] * widths + lefts[:, None, None] + steps
        return self._pixels[index].permute(0, 3, 1, 2).float()


def uniform(count: int, low: float, high: float, generator: torch.Generator, *more: int) -> Tensor:
    """Draw numbers between two bounds, float32 [count, more...], on the generator's device."""
    return low + (high - low) * torch.rand(
        count, *more, generator=generator, device=generator.device
    )


def chosen(options: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Draw some of the options [M] with equal chances, [count]."""
    return options[
        torch.randint(len(options), (count,), generator=generator, device=options.device)
    ]


def chance(count: int, share: float, generator: torch.Generator) -> Tensor:
    """Draw a share of samples: bool [count, 1, 1, 1]."""
    return (uniform(count, 0.0, 1.0, generator) < share)[:, None, None, None]


def mirrored(images: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """Mirror images [N, C, H, W] left to right, and top to bottom, where bool [N, 1, 1, 1] is."""
    images = torch.where(across, images.flip(3), images)
    return torch.where(down, images.flip(2), images)


def _below(bounds: Tensor, generator: torch.Generator) -> Tensor:
    """Draw whole numbers from 0 to below bounds that differ, int64 [N]."""
    drawn = torch.rand(bounds.shape, generator=generator, device=bounds.device)
    # a number just below 1 may be rounded up to the bound
    return torch.minimum((drawn * bounds).long(), bounds - 1)
