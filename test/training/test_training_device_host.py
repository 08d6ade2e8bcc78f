"""Crops that the host cuts ahead of time, for a device that has no form of their source."""

from dataclasses import dataclass
import time

import numpy as np
import pytest
import torch

from derain_ros.errors import DataError
from training.data.device.host import HostPool, POOL_CROPS

SIZE = 16


@dataclass(frozen=True)
class Plain:
    """Crops of one grey level, rainier by one."""

    grey: int

    def crop(self, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        clean = np.full((size, size, 3), self.grey, np.uint8)
        return clean + np.uint8(1), clean


@dataclass(frozen=True)
class Noise:
    """Crops that are all different."""

    def crop(self, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        clean = rng.integers(0, 255, (size, size, 3), np.uint8)
        return clean, clean


@dataclass(frozen=True)
class Broken:
    """A recording that was taken away."""

    def crop(self, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        raise DataError('ride.mcap: cannot be read; bring it back')


def pool_of(*sources: tuple[float, object], workers: int = 0) -> HostPool:
    return HostPool(list(sources), torch.device('cpu'), SIZE, (1, 0), workers)


@pytest.mark.parametrize('workers', [0, 2])
def test_sources_get_their_shares_and_crops_keep_their_truth(workers):
    pool = pool_of((0.3, Plain(10)), (0.1, Plain(200)), workers=workers)
    rainy, clean = pool.cut(4000, SIZE, torch.Generator().manual_seed(0))
    assert rainy.shape == clean.shape == (4000, 3, SIZE, SIZE)
    assert torch.all(rainy - clean == 1)
    assert float((clean[:, 0, 0, 0] == 10).float().mean()) == pytest.approx(0.75, abs=0.05)


def test_worker_processes_cut_different_crops():
    pool = pool_of((1.0, Noise()), workers=2)
    clean = pool.cut(4000, SIZE, torch.Generator().manual_seed(0))[1]
    # of 4000 drawn with replacement out of 4096, about 62 % are different
    assert 0.55 * POOL_CROPS < len(clean.unique(dim=0)) < 0.7 * POOL_CROPS


def test_new_crops_replace_the_oldest_while_training_goes_on():
    pool, generator = pool_of((1.0, Noise())), torch.Generator()

    def drawn() -> set[bytes]:
        crops = pool.cut(8192, SIZE, generator.manual_seed(0))[1]
        return {crop.numpy().tobytes() for crop in crops.byte()}

    first, waits = drawn(), 0
    while drawn() & first and waits < 600:
        time.sleep(0.1)
        waits += 1
    assert not drawn() & first


@pytest.mark.parametrize('workers', [0, 1])
def test_an_error_of_the_data_keeps_its_one_line(workers):
    with pytest.raises(DataError, match=r'ride\.mcap: cannot be read; bring it back'):
        pool_of((1.0, Broken()), workers=workers)
