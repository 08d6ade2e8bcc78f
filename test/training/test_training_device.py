"""Crops cut on the device that trains, against those that the CPU cuts; on a GPU too, if any."""

import time

import cv2
import numpy as np
import pytest
import torch

from training.configuration import Config
from training.data import rain as cpu_rain
from training.data import sources
from training.data.batches import Batch, Crops
from training.data.dataset import Data
from training.data.device import batches
from training.data.device.batches import DeviceCrops
from training.data.device.images import ImageStore
from training.data.device.rain import rain_layers, rain_of
from training.data.device.sensor import jpeg
from training.data.pairs import Pair

SIZE = 16
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA')


@pytest.fixture(params=['cpu', pytest.param('cuda', marks=needs_cuda)])
def device(request: pytest.FixtureRequest) -> torch.device:
    return torch.device(request.param)


@pytest.fixture
def pairs() -> list[Pair]:
    """Return pairs of several sizes; the rain of pair i is 20 i + 20 grey levels everywhere."""
    rng = np.random.default_rng(0)
    clean = [rng.integers(0, 150, (24 + 8 * i, 40 - 4 * i, 3), np.uint8) for i in range(3)]
    return [Pair(f'{i}', i, image + np.uint8(20 * i + 20), image) for i, image in enumerate(clean)]


def crops_of(
    device: torch.device, *shared: tuple[float, object], **changes: object
) -> DeviceCrops:
    data = Data(list(shared), changes.pop('real', None), {}, {})
    return DeviceCrops(data, device, experiment(**changes))


def experiment(**changes: object) -> Config:
    keys = {'shape': 'fast', 'seed': 1, 'steps': 9, 'batch': 64, 'crop': SIZE, 'workers': 0}
    keys |= {'learning_rate': 1e-3, 'schedule': 'constant', 'weight_decay': 0.0, 'loss': 'l1'}
    keys |= {'matching': 0.0, 'ema': 0.9, 'clip': 1.0, 'precision': 'float32'}
    keys |= {'validate_every': 9, 'checkpoint_every': 9, 'validation': [0, 0], 'pairs': {'p': 1.0}}
    return Config(**(keys | changes))


def grey(images: torch.Tensor) -> np.ndarray:
    """Return images [N, 3, H, W] in [0, 1] as uint8 [N, H, W, 3]."""
    return (images * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()


def is_window_of(crop: np.ndarray, image: np.ndarray) -> bool:
    windows = np.lib.stride_tricks.sliding_window_view(image, crop.shape[:2], axis=(0, 1))
    return bool((windows == crop.transpose(2, 0, 1)).all(axis=(2, 3, 4)).any())


def test_crops_are_windows_of_the_images(device, pairs):
    crops = crops_of(device, (1.0, sources.PairSource(pairs)), flips=False)
    rainy, clean, real = crops[0]
    assert real is None
    assert rainy.shape == clean.shape == (64, 3, SIZE, SIZE)
    assert rainy.is_contiguous(memory_format=torch.channels_last)
    for one, other in zip(grey(rainy), grey(clean)):
        pair = pairs[int(one[0, 0, 0] - other[0, 0, 0]) // 20 - 1]
        assert is_window_of(one, pair.rainy)
        assert is_window_of(other, pair.clean)


def test_a_batch_depends_on_seed_step_and_rank(device, pairs):
    def cut(step: int, seed: int = 1, rank: int = 0) -> Batch:
        data = Data([(1.0, sources.PairSource(pairs))], None, {}, {})
        return DeviceCrops(data, device, experiment(seed=seed), rank)[step]

    first = cut(7)
    assert torch.equal(first.rainy, cut(7).rainy)
    for other in (cut(8), cut(7, seed=2), cut(7, rank=1)):
        assert not torch.equal(first.rainy, other.rainy)


def test_each_source_gets_its_share_of_the_crops(device, pairs):
    shared = [(1.0, sources.PairSource([pair])) for pair in pairs[:1]]
    shared.append((3.0, sources.PairSource(pairs[1:])))
    crops = crops_of(device, *shared)
    batch_list = [crops[step] for step in range(40)]
    rain = [((batch.rainy - batch.clean) * 255).round().amax((1, 2, 3)) for batch in batch_list]
    share = (torch.cat(rain) == 20).float().mean().item()
    assert abs(share - 0.25) < 0.04  # three standard deviations of 2560 draws are 0.026


def test_fixed_windows_are_those_of_the_cpu(device, pairs):
    source = sources.PairSource(pairs[:1], crops_per_image=3)
    expected = {
        source.pairs[0]
        .clean[sources.random_window(pairs[0].clean, SIZE, np.random.default_rng((0, number)))]
        .tobytes()
        for number in range(3)
    }
    found = {
        crop.tobytes() for crop in grey(crops_of(device, (1.0, source), flips=False)[0].clean)
    }
    assert found == expected


def test_flips_mirror_both_sides_alike(device, pairs):
    crops = crops_of(device, (1.0, sources.PairSource(pairs[:1])))
    rainy, clean, _ = crops[0]
    assert ((rainy - clean) * 255).round().eq(20).all()
    ways = [
        sum(is_window_of(crop[way], pairs[0].clean) for crop in grey(clean))
        for way in np.s_[
            ::1, ::-1, (slice(None), slice(None, None, -1)), (slice(None, None, -1),) * 2
        ]
    ]
    assert min(ways) > 4
    assert sum(ways) == 64


@pytest.mark.parametrize('kind', [sources.SyntheticSource])
@pytest.mark.parametrize('share', [0.0, 1.0])
def test_what_is_drawn_has_the_statistics_of_what_the_cpu_draws(device, kind, share):
    rng = np.random.default_rng(1)
    shades = np.kron(rng.integers(30, 220, (6, 8, 8, 3)), np.ones((1, 8, 8, 1))).astype(np.uint8)
    source = kind(list(shades), share)
    keys = {'batch': 256, 'size': 32, 'seed': 3}
    expected = Crops([(1.0, source)], None, **keys)[0]
    drawn = crops_of(device, (1.0, source), batch=256, crop=32)[0]
    for one, other in zip(statistics(drawn), statistics(expected)):
        assert one == pytest.approx(other, rel=0.12, abs=0.01)


def statistics(batch: Batch) -> list[float]:
    """Return means and spreads of both sides, of the rain, and of what differs next door."""
    rain = batch.rainy - batch.clean
    return [
        value.item()
        for image in (batch.rainy.cpu(), batch.clean.cpu(), rain.cpu())
        for value in (image.mean(), image.std(), image.diff(dim=2).abs().mean())
    ]


def test_rain_has_the_statistics_of_the_cpus(device):
    rng, generator = np.random.default_rng(0), torch.Generator(device).manual_seed(0)
    expected = np.stack(
        [cpu_rain.rain_layer(64, 64, cpu_rain.random_rain(rng), rng) for _ in range(150)]
    )
    layers = rain_layers(300, 64, generator)[:, 0].cpu().numpy()
    for measure in (
        np.mean,
        np.std,
        lambda values: (values > 0.05).mean(),
        lambda values: np.percentile(values, 99),
        lambda values: np.abs(np.diff(values, axis=1)).mean(),
        lambda values: np.abs(np.diff(values, axis=2)).mean(),
    ):
        assert measure(layers) == pytest.approx(measure(expected), rel=0.15)


def test_the_rain_of_a_pair_is_what_the_cpu_takes_it_for(device, street):
    rainy = cpu_rain.add_rain(street, np.random.default_rng(0).random(street.shape[:2]))
    expected = cpu_rain.rain_of(rainy, street)
    images = [torch.from_numpy(side).to(device).permute(2, 0, 1)[None] for side in (rainy, street)]
    assert np.allclose(rain_of(*(image.float() for image in images)).cpu()[0, 0], expected)


@pytest.mark.parametrize('quality', [60, 80, 95])
@pytest.mark.parametrize('height', [48, 93])
def test_jpeg_is_that_of_opencv(device, street, quality, height):
    image = street[:height]
    _, code = cv2.imencode('.jpg', image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    expected = cv2.imdecode(code, cv2.IMREAD_COLOR)[..., ::-1].astype(float)
    tensor = torch.from_numpy(image.copy()).to(device).permute(2, 0, 1)[None].float()
    decoded = jpeg(tensor, torch.tensor([quality], device=device))[0].permute(1, 2, 0).cpu()
    off = np.abs(decoded.numpy() - expected)
    # rounding in other places, beside what JPEG itself costs this noisy picture
    assert off.mean() < 0.2 * np.abs(expected - image).mean()
    assert np.percentile(off, 99) <= 8


def test_layers_fall_on_other_images_than_their_own(device, pairs):
    dark = [np.zeros((32, 32, 3), np.uint8)]
    rainy, clean, _ = crops_of(device, (1.0, sources.LayerSource(dark, pairs, 0.0)))[0]
    assert not clean.any()
    levels = set((rainy * 255).round().flatten().tolist())
    assert levels == {20.0, 40.0, 60.0}


class Frames:
    """Real rain: frame i is of grey level i."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> np.ndarray:
        return np.full((20, 24, 3), index, np.uint8)


def test_real_rain_beyond_the_pool_is_seen_as_training_goes_on(device, pairs, monkeypatch):
    monkeypatch.setattr(batches, 'POOL_FRAMES', 4)
    crops = crops_of(device, (1.0, sources.PairSource(pairs)), real=Frames(12))
    seen, step, end = set(), 0, time.monotonic() + 30
    while len(seen) < 12:
        assert time.monotonic() < end, seen
        levels = (crops[step].real * 255).round().flatten(1)
        assert (levels == levels[:, :1]).all()
        seen |= set(levels[:, 0].tolist())
        step += 1


def test_sources_that_have_no_form_for_the_device_are_cut_on_the_host(device, pairs):
    class White:
        def crop(self, size, rng):
            return np.full((2, size, size, 3), 255, np.uint8)

    crops = crops_of(device, (1.0, sources.PairSource(pairs)), (1.0, White()))
    share = (torch.cat([crops[step].clean for step in range(10)]).amin((1, 2, 3)) == 1).float()
    assert abs(share.mean().item() - 0.5) < 0.08


def test_an_image_is_kept_once():
    image, other = np.zeros((4, 4, 3), np.uint8), np.ones((2, 3, 3), np.uint8)
    store = ImageStore([image, other, image])
    assert len(store) == 2
    assert store.numbers([other, image, other]).tolist() == [1, 0, 1]


def test_crops_of_several_steps_are_cut_together_and_a_step_keeps_its_own(pairs, monkeypatch):
    monkeypatch.setitem(batches.AHEAD_CROPS, 'cpu', 256)
    cpu, shared = torch.device('cpu'), (1.0, sources.PairSource(pairs))
    crops = crops_of(cpu, shared)
    steps = [crops[step] for step in range(6)]
    for step in (5, 0, 3):  # as a resumed run asks for them
        for part, again in zip(steps[step][:2], crops_of(cpu, shared)[step][:2]):
            assert torch.equal(part, again)
    assert len({grey(step.rainy).tobytes() for step in steps}) == 6
    # rain and clean images stay together when they are shuffled
    for step in steps:
        rain = grey(step.rainy).astype(int) - grey(step.clean)
        assert all(crop.min() == crop.max() in (20, 40, 60) for crop in rain)
