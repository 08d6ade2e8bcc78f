"""
Synthetic rain: streak layers, how they join an image, and the haze behind them.

Streaks are sparse drops smeared along the direction of fall, the noise and motion blur of the
Photoshop recipe that Rain800 and Rain1400 were made with, in planes of depth: near rain is
sparse, long and wide, far rain dense, short and thin. Layers are grey, and added with clipping,
nearly as in Rain100L/H, or screened over the image, as in the recipe.
"""

from dataclasses import dataclass

import cv2
import numpy as np

PLANES = 3
ONE_DIRECTION = 0.6  # share of the rainfalls


@dataclass(frozen=True, kw_only=True)
class Rain:
    """
    One rainfall.

    :param angle: direction of fall in degrees from vertical, positive falling to the right.
    :param density: drops per pixel of the nearest plane, 0.0003 (light) to 0.01 (heavy).
    :param length_px: streak length of the nearest plane.
    :param brightness: 99th percentile of the layer, 0 to 1.
    """

    angle: float
    density: float
    length_px: float
    brightness: float


def random_rain(rng: np.random.Generator) -> list[Rain]:
    """Draw a rainfall between drizzle and downpour, of 1 to 5 directions, most of them steep."""
    # what falls on a road falls in one direction; the heavy public sets have five
    count = 1 if rng.random() < ONE_DIRECTION else int(rng.integers(2, 6))
    # the layers add up: what falls from five directions is thinner in each
    thickest = 0.01 if count == 1 else 0.0012
    return [
        Rain(
            angle=_random_angle(rng),
            density=_log_uniform(0.0003, thickest, rng),
            length_px=float(rng.uniform(10.0, 40.0)),
            brightness=float(rng.uniform(0.15, 0.6) if count == 1 else rng.uniform(0.2, 0.35)),
        )
        for _ in range(count)
    ]


def rain_layer(height: int, width: int, rains: list[Rain], rng: np.random.Generator) -> np.ndarray:
    """Draw the layer of all directions: float32 [height, width], 0 or more."""
    return sum(
        (streak_layer(height, width, rain, rng) for rain in rains),
        start=np.zeros((height, width), np.float32),
    )


def streak_layer(height: int, width: int, rain: Rain, rng: np.random.Generator) -> np.ndarray:
    """Draw a rain layer: float32 [height, width], 0 or more, to be added to an image in [0, 1]."""
    margin = int(np.ceil(rain.length_px))
    size = (height + 2 * margin, width + 2 * margin)
    layer = np.zeros(size, np.float32)
    for plane in range(PLANES):
        depth = 1.0 + plane
        drops = rng.random(size, dtype=np.float32)
        chance = rain.density * depth**2
        drops = np.where(drops < chance, 0.4 + 0.6 * drops / chance, 0.0).astype(np.float32)
        kernel = _streak(rain.length_px / depth, rain.angle + rng.normal(0.0, 2.0), 0.9 / depth)
        layer += cv2.filter2D(drops, -1, kernel) / np.sqrt(depth)
    layer = layer[margin : margin + height, margin : margin + width]
    return layer * (rain.brightness / max(float(np.percentile(layer, 99)), 0.05))


def add_rain(clean: np.ndarray, layer: np.ndarray) -> np.ndarray:
    """Add a layer [H, W] in [0, 1] to a uint8 image [H, W, 3], clipped; returns uint8."""
    grey = np.rint(np.minimum(layer, 1.0) * 255).astype(np.uint8)
    return cv2.add(clean, cv2.merge([grey] * 3))


def rain_of(rainy: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """
    Return the layer that ``add_rain`` added, float32 [H, W] in [0, 1], up to where white hides it.

    Of each pixel the darkest channel is taken, the last to reach white: where a brighter one is
    clipped, the difference there is the background's. Rain100L's and Rain100H's rain is grey;
    Rain800's, which is not quite, is taken as grey.

    :param rainy, clean: uint8 [H, W, 3].
    """
    darkest = clean.argmin(axis=2)[..., None]
    grey = np.take_along_axis(cv2.subtract(rainy, clean), darkest, axis=2)[..., 0]
    return grey.astype(np.float32) / 255


def screen_rain(clean: np.ndarray, layer: np.ndarray) -> np.ndarray:
    """Screen a layer [H, W] in [0, 1] over a uint8 image [H, W, 3]: 1 - (1 - J)(1 - S)."""
    light = 255.0 - (255.0 - clean) * (1.0 - np.minimum(layer, 1.0))[..., None]
    return np.rint(light).astype(np.uint8)


def haze(image: np.ndarray, depth: np.ndarray, density: float, airlight: float) -> np.ndarray:
    """
    Veil an image with haze: J T + A (1 - T), T = exp(-density depth) (Koschmieder).

    :param image: uint8 [H, W, 3].
    :param depth: metres, [H, W] or, where only height counts, [H, 1].
    :param density: per metre; RainCityscapes (Hu et al. 2019) uses 0.005, 0.01 and 0.015.
    :param airlight: A, 0 to 1.
    """
    clear = np.exp(-density * depth)[..., None]
    return np.rint(image * clear + 255.0 * airlight * (1.0 - clear)).astype(np.uint8)


def road_depth(rows: np.ndarray) -> np.ndarray:
    """
    Return the depth, in metres, of a flat road seen by a car's camera; all of this is *inferred*.

    :param rows: height in the image, 0 at the top to 1 at the bottom. The horizon is at 0.45, the
        camera 1.5 m above the road, its focal length one image height, the sky at 150 m.
    """
    return np.minimum(1.5 / np.maximum(rows - 0.45, 1e-3), 150.0)


def _random_angle(rng: np.random.Generator) -> float:
    return float(np.clip(rng.normal(0.0, 20.0), -50.0, 50.0))


def _log_uniform(low: float, high: float, rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _streak(length_px: float, angle: float, width_px: float) -> np.ndarray:
    """Draw one streak as a filter kernel, float32 with maximum 1, tapering to its ends."""
    radius = int(np.ceil(length_px / 2)) + 1
    rows, columns = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float32)
    tilt = np.deg2rad(angle)
    along = rows * np.cos(tilt) + columns * np.sin(tilt)
    across = columns * np.cos(tilt) - rows * np.sin(tilt)
    taper = np.clip(1.0 - np.abs(along) / (length_px / 2 + 0.5), 0.0, 1.0) ** 0.5
    return (taper * np.exp(-0.5 * (across / max(width_px, 0.35)) ** 2)).astype(np.float32)
