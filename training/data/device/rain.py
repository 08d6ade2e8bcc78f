"""Synthetic rain in batches: the rain of ``training.data.rain``, drawn by torch."""

import math

import torch
from torch import Tensor

from training.data.device.images import uniform
from training.data.rain import ONE_DIRECTION, PLANES

MOST_DIRECTIONS = 5
LONGEST_PX = 40.0
RADIUS_PX = math.ceil(LONGEST_PX / 2) + 1
# drops so far outside of a crop may reach into it; the convolution wraps round in what is left
MARGIN_PX = 24


def rain_layers(count: int, size: int, generator: torch.Generator) -> Tensor:
    """Draw rainfalls as ``random_rain`` and ``rain_layer`` do: float32 [count, 1, size, size]."""
    each = (count, MOST_DIRECTIONS)
    device = generator.device
    several = torch.rand(count, 1, generator=generator, device=device) >= ONE_DIRECTION
    directions = torch.randint(2, 6, (count, 1), generator=generator, device=device)
    present = torch.arange(MOST_DIRECTIONS, device=device) < torch.where(several, directions, 1)
    angles = torch.randn(each, generator=generator, device=device).mul(20.0).clamp(-50.0, 50.0)
    thickest = torch.where(several, 0.0012, 0.01)
    least = math.log(0.0003)
    drawn = torch.rand(each, generator=generator, device=device)
    densities = torch.exp(least + (thickest.log() - least) * drawn)
    lengths = uniform(count, 10.0, LONGEST_PX, generator, MOST_DIRECTIONS)
    drawn = torch.rand(each, generator=generator, device=device)
    brightness = torch.where(several, 0.2 + 0.15 * drawn, 0.15 + 0.45 * drawn)
    layers = _streak_layers(angles, densities, lengths, size, generator)
    scale = brightness / _percentile_99(layers.flatten(2)).clamp(min=0.05)
    return (layers * (scale * present)[..., None, None]).sum(dim=1, keepdim=True)


def add_rain(clean: Tensor, layers: Tensor) -> Tensor:
    """Add layers [N, 1, H, W] in [0, 1] to images in grey levels [N, 3, H, W], clipped."""
    return (clean + (layers.clamp(max=1.0) * 255).round()).clamp(max=255.0)


def screen_rain(clean: Tensor, layers: Tensor) -> Tensor:
    """Screen layers [N, 1, H, W] over images in grey levels: 1 - (1 - J)(1 - S)."""
    return (255.0 - (255.0 - clean) * (1.0 - layers.clamp(max=1.0))).round()


def rain_of(rainy: Tensor, clean: Tensor) -> Tensor:
    """Return the layers that ``add_rain`` added, float32 [N, 1, H, W] in [0, 1]."""
    darkest = clean.argmin(dim=1, keepdim=True)
    return (rainy - clean).clamp(min=0.0).gather(1, darkest) / 255


def haze(images: Tensor, depth: Tensor, density: Tensor, airlight: Tensor) -> Tensor:
    """
    Veil images in grey levels [N, 3, H, W] as ``training.data.rain.haze`` does.

    :param depth: metres, [N, 1, H, 1].
    :param density, airlight: [N, 1, 1, 1].
    """
    clear = torch.exp(-density * depth)
    return (images * clear + 255.0 * airlight * (1.0 - clear)).round()


def road_depth(rows: Tensor) -> Tensor:
    """Return what ``training.data.rain.road_depth`` does, in metres."""
    return (1.5 / (rows - 0.45).clamp(min=1e-3)).clamp(max=150.0)


def _streak_layers(
    angles: Tensor, densities: Tensor, lengths: Tensor, size: int, generator: torch.Generator
) -> Tensor:
    """Smear drops along each direction [N, K]; returns [N, K, size, size], of any brightness."""
    side = size + 2 * MARGIN_PX
    device, spectra = generator.device, 0.0
    for plane in range(PLANES):
        depth = 1.0 + plane
        chance = (densities * depth**2)[..., None, None]
        drops = torch.rand(*angles.shape, side, side, generator=generator, device=device)
        drops = torch.where(drops < chance, 0.4 + 0.6 * drops / chance, 0.0)
        tilts = angles + 2.0 * torch.randn(angles.shape, generator=generator, device=device)
        kernels = _streaks(lengths / depth, tilts, max(0.9 / depth, 0.35)) / math.sqrt(depth)
        spectra = spectra + torch.fft.rfft2(drops) * torch.fft.rfft2(kernels, (side, side))
    layers = torch.fft.irfft2(spectra, (side, side))
    # a kernel's middle is RADIUS_PX from its first pixel, so streaks lie that far from their drops
    first = MARGIN_PX + RADIUS_PX
    layers = layers[..., first : first + size, first : first + size]
    # what is nothing but the rounding of the transform is not to be lit up
    return torch.where(layers > 1e-5, layers, 0.0)


def _streaks(lengths: Tensor, angles: Tensor, width_px: float) -> Tensor:
    """Draw a streak as ``training.data.rain._streak`` does, each in [2 R + 1, 2 R + 1] pixels."""
    steps = torch.arange(-RADIUS_PX, RADIUS_PX + 1, device=lengths.device, dtype=torch.float32)
    rows, columns = steps[:, None], steps
    lengths, tilt = lengths[..., None, None], torch.deg2rad(angles)[..., None, None]
    along = rows * tilt.cos() + columns * tilt.sin()
    across = columns * tilt.cos() - rows * tilt.sin()
    taper = (1.0 - along.abs() / (lengths / 2 + 0.5)).clamp(0.0, 1.0).sqrt()
    return taper * torch.exp(-0.5 * (across / width_px) ** 2)


def _percentile_99(values: Tensor) -> Tensor:
    """Return numpy's 99th percentile over the last dimension; only the largest are sorted."""
    place = 0.99 * (values.shape[-1] - 1)
    below = int(place)
    largest = values.topk(values.shape[-1] - below, dim=-1).values
    # in falling order, so the last is the one below the place
    lower, upper = largest[..., -1], largest[..., -2]
    return lower + (place - below) * (upper - lower)
