"""
What a camera does to a scene, in batches: clipping, sensor noise and JPEG, by torch.

JPEG is that of libjpeg's defaults (4:2:0, bilinear chroma) without entropy coding, which loses
nothing; a decoded image differs from OpenCV's by rounding alone.
"""

import functools
import math

import torch
from torch import Tensor
from torch.nn import functional

from training.data.device.images import uniform

# of ITU-T T.81, annex K
LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
CHROMINANCE = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
) + ((99,) * 8,) * 4
# RGB to Y, Cb and Cr (JFIF); Cb and Cr are centred on 128
TO_YCC = (
    (0.299, 0.587, 0.114),
    (-0.168735892, -0.331264108, 0.5),
    (0.5, -0.418687589, -0.081312411),
)
TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136286, -0.714136286), (1.0, 1.772, 0.0))
BLOCK_PX, UNIT_PX = 8, 16
Table = tuple[tuple[float, ...], ...]


def photographed(rainy: Tensor, clean: Tensor, generator: torch.Generator) -> list[Tensor]:
    """
    Take both pictures with a camera as ``random_sensor`` draws it, one for each sample.

    :param rainy, clean: [N, 3, H, W] in grey levels; they get the same noise.
    """
    count, device = len(clean), generator.device
    shot = torch.exp(uniform(count, math.log(1e-5), math.log(1e-3), generator))
    spread = 0.26 * torch.randn(count, generator=generator, device=device)
    read = torch.exp(2.18 * shot.log() + 1.20 + spread)
    quality = torch.randint(60, 96, (count,), generator=generator, device=device)
    noise = torch.randn(clean.shape, generator=generator, device=device)
    pictures = []
    for image in (rainy, clean):
        light = image / 255
        variance = shot[:, None, None, None] * light + read[:, None, None, None]
        noisy = (light + noise * variance.sqrt()).clamp(0.0, 1.0)
        pictures.append(jpeg((noisy * 255).round(), quality))
    return pictures


def jpeg(images: Tensor, quality: Tensor) -> Tensor:
    """
    Compress and decode images.

    :param images: [N, 3, H, W], RGB in whole grey levels.
    :param quality: [N], 50 to 100.
    """
    height, width = images.shape[-2:]
    padding = (0, -width % UNIT_PX, 0, -height % UNIT_PX)
    padded = functional.pad(images, padding, mode='replicate')
    planes = torch.einsum('ij,njhw->nihw', _constant(TO_YCC, images.device), padded).round()
    luminance = _quantised(planes[:, :1] - 128, LUMINANCE, quality) + 128
    smaller = functional.avg_pool2d(planes[:, 1:], 2).round()
    chroma = functional.interpolate(
        _quantised(smaller, CHROMINANCE, quality).round().clamp(-128, 127),
        scale_factor=2.0,
        mode='bilinear',
    )
    decoded = torch.cat([luminance.round().clamp(0, 255), chroma.round()], dim=1)
    rgb = (
        torch.einsum('ij,njhw->nihw', _constant(TO_RGB, images.device), decoded)
        .round()
        .clamp(0, 255)
    )
    return rgb[..., :height, :width]


def _quantised(planes: Tensor, table: Table, quality: Tensor) -> Tensor:
    """Round the cosine transform of each block of [N, C, H, W] as a quality [N] demands."""
    count, channels, height, width = planes.shape
    scale = (200 - 2 * quality)[:, None, None]
    steps = _constant(table, planes.device) * scale + 50
    steps = steps.div(100, rounding_mode='floor').clamp(1, 255)[:, None, None, :, None, :]
    blocks = planes.reshape(
        count, channels, height // BLOCK_PX, BLOCK_PX, width // BLOCK_PX, BLOCK_PX
    )
    cosines = _cosines(planes.device)
    coefficients = torch.einsum('ui,ncyixj,vj->ncyuxv', cosines, blocks, cosines)
    kept = (coefficients / steps).round() * steps
    return torch.einsum('ui,ncyuxv,vj->ncyixj', cosines, kept, cosines).reshape(planes.shape)


@functools.cache
def _constant(table: Table, device: torch.device) -> Tensor:
    """Return a table as a tensor; kept, because copying it to a GPU waits for the GPU."""
    return torch.tensor(table, dtype=torch.float32, device=device)


@functools.cache
def _cosines(device: torch.device) -> Tensor:
    """Return the orthogonal matrix of the cosine transform of type II, float32 [8, 8]."""
    steps = torch.arange(BLOCK_PX, device=device, dtype=torch.float32)
    cosines = torch.cos((2 * steps + 1) * steps[:, None] * math.pi / (2 * BLOCK_PX))
    weights = torch.where(steps == 0, math.sqrt(1 / BLOCK_PX), math.sqrt(2 / BLOCK_PX))
    return cosines * weights[:, None]
