"""Batches depend on seed and step alone, whoever cuts them."""

from collections import Counter

import numpy as np
import pytest
import torch

from derain_ros.errors import DataError
from training.data import sources
from training.data.batches import batches, Crops
from training.data.pairs import Pair
from training.data.scene_sources import DrizzleSource, IdentitySource
from training.data.sources import (
    LayerSource,
    PairSource,
    random_window,
    SyntheticSource,
)


class Striped:
    """Four real frames; each column of frame i has a colour of its own, and all of them i blue."""

    decoded = 0

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> np.ndarray:
        self.decoded += 1
        columns = np.tile(np.arange(64, dtype=np.uint8), (64, 1))
        return np.stack([columns, columns.T, np.full_like(columns, 10 * index)], axis=-1)


@pytest.fixture
def pair() -> Pair:
    clean = np.random.default_rng(0).integers(0, 200, (64, 80, 3), np.uint8)
    return Pair('pair', 1, clean + np.uint8(50), clean)


def cut(
    pair: Pair, *, batch: int = 8, rank: int = 0, seed: int = 1, frames: Striped | None = None
) -> Crops:
    sources = [(3.0, PairSource([pair])), (1.0, IdentitySource([pair.clean]))]
    return Crops(
        sources, frames or Striped(), seed=seed, batch=batch, size=16, crops_per_frame=4, rank=rank
    )


def test_crops_are_images_in_the_unit_range(pair: Pair) -> None:
    rainy, clean, real = cut(pair)[0]

    for crops in (rainy, clean, real):
        assert crops.shape == (8, 3, 16, 16)
        assert crops.dtype == torch.float32
        assert 0 <= crops.min() <= crops.max() <= 1
    rain = ((rainy - clean) * 255).round().mean(dim=(1, 2, 3)).tolist()
    assert set(rain) == {0, 50}  # of the rain-free image, and of the pair


def test_a_batch_is_the_same_whenever_it_is_cut(pair: Pair) -> None:
    first, again, next_one = cut(pair)[7], cut(pair)[7], cut(pair)[8]

    for left, right in zip(first, again):
        assert torch.equal(left, right)
    assert not torch.equal(first.rainy, next_one.rainy)
    assert not torch.equal(first.rainy, cut(pair, seed=2)[7].rainy)


def test_worker_processes_cut_the_same_batches_in_order(pair: Pair) -> None:
    crops = cut(pair)

    for step, batch in zip(range(3, 7), batches(crops, 3, 7, workers=2), strict=True):
        for left, right in zip(batch, crops[step]):
            assert torch.equal(left, right)


def test_two_processes_cut_between_them_what_one_does(pair: Pair) -> None:
    whole = cut(pair, batch=16)[5]
    halves = [cut(pair, batch=8, rank=rank)[5] for rank in (0, 1)]

    for index in range(3):
        assert torch.equal(torch.cat([half[index] for half in halves]), whole[index])


def test_several_crops_share_one_decoded_frame(pair: Pair) -> None:
    frames = Striped()

    real = cut(pair, frames=frames)[0].real

    assert frames.decoded == 2
    for group in real.split(4):
        assert len(group[:, 2].unique()) == 1  # one frame
        assert len({crop.numpy().tobytes() for crop in group}) == 4


def test_crops_are_mirrored_unless_told_otherwise() -> None:
    ramp = np.arange(0, 240, 3, dtype=np.uint8)
    across = np.broadcast_to(ramp[:, None], (80, 80, 3)).copy()  # brighter to the right
    sources = [(1.0, PairSource([Pair('ramp', 1, across, across)]))]

    def directions(flips: bool) -> set[float]:
        crops = Crops(sources, None, seed=1, batch=16, size=16, flips=flips)[0].clean
        return set((crops[..., -1] - crops[..., 0]).sign().flatten().tolist())

    assert directions(flips=True) == {-1.0, 1.0}
    assert directions(flips=False) == {1.0}


def test_without_flips_only_the_background_of_composited_rain_is_mirrored() -> None:
    rows, columns = np.mgrid[:40, :40].astype(np.uint8)
    slope = np.stack([rows + 2 * columns] * 3, axis=-1)  # brighter downwards and to the right
    source = LayerSource([slope], [Pair('rain', 1, 2 * slope, slope)], sensor=0.0)

    rainy, clean, _ = Crops([(1.0, source)], None, seed=1, batch=32, size=16, flips=False)[0]

    def directions(crops: torch.Tensor) -> set[tuple[float, float]]:
        down, right = (crops.diff(dim=axis).mean(dim=(1, 2, 3)).sign() for axis in (2, 3))
        return set(zip(down.tolist(), right.tolist()))

    assert directions(clean) == {(1, 1), (1, -1), (-1, 1), (-1, -1)}
    assert directions(rainy - clean) == {(1, 1)}


def test_every_source_is_drawn_as_often_as_its_share_says(pair: Pair) -> None:
    rainy, clean, _ = cut(pair, batch=400)[0]

    of_pairs = ((rainy - clean).flatten(1).mean(1) > 0.1).float().mean().item()
    assert of_pairs == pytest.approx(0.75, abs=0.08)


def test_windows_reach_every_edge() -> None:
    rng, image = np.random.default_rng(0), np.zeros((18, 17, 3), np.uint8)

    corners = {tuple(side.start for side in random_window(image, 16, rng)) for _ in range(100)}

    assert corners == {(top, left) for top in (0, 1, 2) for left in (0, 1)}


def test_synthesized_rain_comes_with_haze_or_screened_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn: Counter[str] = Counter()

    def count(name: str) -> None:
        original = getattr(sources, name)

        def counted(*arguments: object) -> object:
            drawn[name] += 1
            return original(*arguments)

        monkeypatch.setattr(sources, name, counted)

    for name in ('haze', 'screen_rain', 'add_rain'):
        count(name)
    source = SyntheticSource([np.full((16, 16, 3), 90, np.uint8)], sensor=0.0)

    for seed in range(200):
        source.crop(16, np.random.default_rng(seed))

    assert drawn['haze'] == pytest.approx(100, abs=30)
    assert drawn['screen_rain'] == pytest.approx(40, abs=20)
    assert drawn['add_rain'] == 200 - drawn['screen_rain']


@pytest.mark.parametrize('share', [0.0, 0.25, 1.0])
def test_so_many_crops_go_through_a_camera(
    share: float, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, 'random_sensor', lambda rng: np.zeros_like)  # with its cap on
    images = [pair.clean + np.uint8(1)]
    for source in (
        SyntheticSource(images, share),
        LayerSource(images, [pair], share),
        IdentitySource(images, share),
        DrizzleSource(images, share),
    ):
        black = [not np.any(source.crop(16, np.random.default_rng(seed))) for seed in range(100)]
        assert sum(black) == pytest.approx(100 * share, abs=100 * share * (1 - share))


@pytest.mark.parametrize('workers', [0, 1])
def test_broken_data_is_named_alike_wherever_it_is_read(pair: Pair, workers: int) -> None:
    class Broken(Striped):
        def __getitem__(self, index: int) -> np.ndarray:
            raise DataError('rain.mcap: of no use; take it out')

    with pytest.raises(DataError) as raised:
        next(batches(cut(pair, frames=Broken()), 0, 1, workers))
    assert str(raised.value) == 'rain.mcap: of no use; take it out'
