"""What tests of training share: an experiment, its data, and one thread."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from helpers.training import experiment
import numpy as np
from PIL import Image
import pytest
import torch

from training.configuration import Config, read_config


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, 'is_available', lambda: False)
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope='module')
def one_thread() -> Iterator[None]:
    """Keep sums in one order, which a GPU does not, and small tests quick; a whole module."""
    with _one_thread():
        yield


@pytest.fixture
def one_thread_here() -> Iterator[None]:
    """Do so for one test, in a module whose others take the GPU."""
    with _one_thread():
        yield


@pytest.fixture(scope='session')
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return six small pairs, and a few clean and rainy images."""
    root, rng = tmp_path_factory.mktemp('data'), np.random.default_rng(0)
    for name in ('pairs/rainy', 'pairs/clean', 'clean', 'real'):
        (root / name).mkdir(parents=True)
    for index in range(1, 7):
        clean = np.kron(rng.integers(0, 200, (6, 6, 3)), np.ones((8, 8, 1))).astype(np.uint8)
        streaks = (rng.random((48, 48, 1)) < 0.05) * np.uint8(50)
        for name, image in (
            ('pairs/clean', clean),
            ('pairs/rainy', clean + streaks),
            ('clean', clean),
            ('real', clean // 2 + 100 + streaks),
        ):
            Image.fromarray(image).save(root / name / f'{index}.png')
    return root


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return read_config(experiment(tmp_path))
