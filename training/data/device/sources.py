"""The sources of ``training.data.sources``, cut in batches on the device that trains."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from training.data import sources
from training.data.device import rain, sensor
from training.data.device.images import chance, chosen, ImageStore, mirrored, uniform, Windows
from training.data.sources import LayerSource, PairSource, SyntheticSource

# draws so many rainy and clean crops, float32 [N, 3, size, size] in whole grey levels
Cut = Callable[[int, int, torch.Generator], tuple[Tensor, Tensor]]


def images_of(source: Any) -> list[np.ndarray]:
    """Return all images that a source cuts from on the device."""
    if type(source) not in FORMS:
        return []
    pairs = getattr(source, 'pairs', [])
    sides = [side for pair in pairs for side in (pair.rainy, pair.clean)]
    return [*getattr(source, 'images', []), *sides]


def on_device(source: Any, store: ImageStore, size: int) -> Cut:
    """
    Return the form of a source that cuts on the device.

    :param store: holds the images of the source.
    :param size: of the crops, in pixels.
    """
    return FORMS.get(type(source), _on_host)(source, store, size)


def _pairs(source: PairSource, store: ImageStore, size: int) -> Cut:
    rainy = store.numbers(pair.rainy for pair in source.pairs)
    clean = store.numbers(pair.clean for pair in source.pairs)
    fixed = None if source.crops_per_image is None else _fixed_windows(source, size, store.device)

    def cut(count: int, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        which = chosen(torch.arange(len(rainy), device=store.device), count, generator)
        if fixed is None:
            windows = store.draw(clean[which], size, generator)
        else:
            places = chosen(torch.arange(fixed.shape[1], device=store.device), count, generator)
            windows = Windows(clean[which], *fixed[which, places].unbind(1))
        return store.cut(windows._replace(images=rainy[which]), size), store.cut(windows, size)

    return cut


def _on_host(source: Any, store: ImageStore, size: int) -> Cut:
    """Cut the crops of a source that has no form for the device on the host, one by one."""

    def cut(count: int, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng(generator.initial_seed())
        crops = np.stack([np.stack(source.crop(size, rng)) for _ in range(count)])
        on_device = torch.from_numpy(crops).to(store.device).permute(1, 0, 4, 2, 3)
        return on_device[0].float(), on_device[1].float()

    return cut


def _fixed_windows(source: PairSource, size: int, device: torch.device) -> Tensor:
    """Return the tops and lefts of the windows that the CPU cuts, int64 [pairs, windows, 2]."""
    assert source.crops_per_image is not None
    windows = [
        sources.random_window(pair.clean, size, np.random.default_rng((index, number)))
        for index, pair in enumerate(source.pairs)
        for number in range(source.crops_per_image)
    ]
    corners = [(rows.start, columns.start) for rows, columns in windows]
    return torch.tensor(corners, device=device).view(len(source.pairs), -1, 2)


def _synthetic(source: SyntheticSource, store: ImageStore, size: int) -> Cut:
    numbers = store.numbers(source.images)
    densities = torch.tensor(sources.HAZE_DENSITIES, device=store.device)

    def cut(count: int, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        windows = store.draw(chosen(numbers, count, generator), size, generator)
        clean = store.cut(windows, size)
        rows = windows.tops[:, None] + torch.arange(size, device=store.device)
        depth = rain.road_depth(rows / store.heights[windows.images][:, None])
        airlight = uniform(count, *sources.AIRLIGHT, generator)[:, None, None, None]
        density = chosen(densities, count, generator)[:, None, None, None]
        hazy = rain.haze(clean, depth[:, None, :, None], density, airlight)
        clean = torch.where(chance(count, sources.HAZE_SHARE, generator), hazy, clean)
        layers = rain.rain_layers(count, size, generator)
        rainy = torch.where(
            chance(count, sources.SCREEN_SHARE, generator),
            rain.screen_rain(clean, layers),
            rain.add_rain(clean, layers),
        )
        return _some_photographed(rainy, clean, source.sensor, generator)

    return cut


def _layers(source: LayerSource, store: ImageStore, size: int) -> Cut:
    numbers = store.numbers(source.images)
    rainy_numbers = store.numbers(pair.rainy for pair in source.pairs)
    clean_numbers = store.numbers(pair.clean for pair in source.pairs)

    def cut(count: int, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        images = chosen(numbers, count, generator)
        clean = store.cut(store.draw(images, size, generator), size)
        clean = mirrored(clean, chance(count, 0.5, generator), chance(count, 0.5, generator))
        which = chosen(torch.arange(len(rainy_numbers), device=store.device), count, generator)
        windows = store.draw(clean_numbers[which], size, generator)
        under_rain = store.cut(windows._replace(images=rainy_numbers[which]), size)
        layers = rain.rain_of(under_rain, store.cut(windows, size))
        return _some_photographed(rain.add_rain(clean, layers), clean, source.sensor, generator)

    return cut


def _some_photographed(
    rainy: Tensor, clean: Tensor, share: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    if share == 0:
        return rainy, clean
    taken = chance(len(clean), share, generator)
    rainy_picture, clean_picture = sensor.photographed(rainy, clean, generator)
    return torch.where(taken, rainy_picture, rainy), torch.where(taken, clean_picture, clean)


FORMS: dict[type, Callable[[Any, ImageStore, int], Cut]] = {
    PairSource: _pairs,
    SyntheticSource: _synthetic,
    LayerSource: _layers,
}
