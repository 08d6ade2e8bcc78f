"""
Synthetic rain: streak layers, and how they join an image.

Streaks are sparse drops smeared along the direction of fall, in planes of depth: near rain is
sparse, long and wide, far rain dense, short and thin. The layer is added to the image and the
sum clipped, as in the public synthetic sets, whose rain is additive and nearly grey.
"""
from dataclasses import dataclass

import cv2
import numpy as np

PLANES = 3


@dataclass(frozen=True, kw_only=True)
class Rain:
    """
    One rainfall.

    :param angle: direction of fall in degrees from vertical, positive falling to the right.
    :param density: drops per pixel of the nearest plane, 0.0005 (light) to 0.01 (heavy).
    :param length: streak length of the nearest plane in pixels.
    :param brightness: 99th percentile of the layer, 0 to 1.
    """

    angle: float
    density: float
    length: float
    brightness: float


def random_rain(rng: np.random.Generator) -> Rain:
    """Draw a rainfall between drizzle and downpour, most of it falling steeply."""
    return Rain(
        angle=float(np.clip(rng.normal(0.0, 20.0), -50.0, 50.0)),
        density=float(np.exp(rng.uniform(np.log(0.0005), np.log(0.01)))),
        length=float(rng.uniform(10.0, 40.0)),
        brightness=float(rng.uniform(0.15, 0.6)))


def streak_layer(height: int, width: int, rain: Rain, rng: np.random.Generator) -> np.ndarray:
    """Draw a rain layer: float32 [height, width], 0 or more, to be added to an image in [0, 1]."""
    margin = int(np.ceil(rain.length))
    size = (height + 2 * margin, width + 2 * margin)
    layer = np.zeros(size, np.float32)
    for plane in range(PLANES):
        depth = 1.0 + plane
        drops = rng.random(size, dtype=np.float32)
        chance = rain.density * depth ** 2
        drops = np.where(drops < chance, 0.4 + 0.6 * drops / chance, 0.0).astype(np.float32)
        kernel = _streak(rain.length / depth, rain.angle + rng.normal(0.0, 2.0), 0.9 / depth)
        layer += cv2.filter2D(drops, -1, kernel) / np.sqrt(depth)
    layer = layer[margin:margin + height, margin:margin + width]
    return layer * (rain.brightness / max(float(np.percentile(layer, 99)), 0.05))


def add_rain(clean: np.ndarray, layer: np.ndarray) -> np.ndarray:
    """Add a layer [H, W] in [0, 1] to a uint8 image [H, W, 3], clipped; returns uint8."""
    grey = np.rint(np.minimum(layer, 1.0) * 255).astype(np.uint8)
    return cv2.add(clean, cv2.merge([grey] * 3))


def _streak(length: float, angle: float, width: float) -> np.ndarray:
    """Draw one streak as a filter kernel, float32 with maximum 1, tapering to its ends."""
    radius = int(np.ceil(length / 2)) + 1
    rows, columns = np.mgrid[-radius:radius + 1, -radius:radius + 1].astype(np.float32)
    tilt = np.deg2rad(angle)
    along = rows * np.cos(tilt) + columns * np.sin(tilt)
    across = columns * np.cos(tilt) - rows * np.sin(tilt)
    taper = np.clip(1.0 - np.abs(along) / (length / 2 + 0.5), 0.0, 1.0) ** 0.5
    return (taper * np.exp(-0.5 * (across / max(width, 0.35)) ** 2)).astype(np.float32)
