"""
Drizzle, as cameras see it: faint, thin and short streaks, drops out of focus, rain lit by lamps.

The streaks of the public sets are long, bright and white. Those of real light rain are a few
grey levels bright, and take the colour of the light behind them. All figures are *inferred* from
the difference of frames and their temporal median, of cameras that stood still.
"""

from dataclasses import dataclass

import cv2
import numpy as np

NIGHT_SHARE, LIGHTS_SHARE, LINES_SHARE, BLUR_SHARE = 0.25, 0.25, 0.4, 0.3
LAMP_COLOURS = ((255, 170, 80), (255, 215, 160), (235, 240, 255), (255, 60, 40))


@dataclass(frozen=True, kw_only=True)
class Fall:
    """
    Drops of one depth.

    :param angle: direction of fall in degrees from vertical.
    :param length, width: of a streak, in pixels; the width is a Gaussian's σ.
    :param peak: brightness of the brightest streak, 0 to 1.
    :param cover: share of the pixels that lie in a streak.
    """

    angle: float
    length: float
    width: float
    peak: float
    cover: float


def random_falls(rng: np.random.Generator) -> list[Fall]:
    """Draw drizzle of one to three depths, all falling in about the same direction."""
    angle = float(np.clip(rng.normal(0.0, 12.0), -40.0, 40.0))
    return [_random_fall(angle, rng) for _ in range(int(rng.integers(1, 4)))]


def _random_fall(angle: float, rng: np.random.Generator) -> Fall:
    length, width = _log_uniform(2.0, 45.0, rng), _log_uniform(0.4, 2.5, rng)
    # bright and round is a lamp, not a drop
    brightest = 0.5 if length > 4 * width else 0.12
    return Fall(
        angle=angle + float(rng.normal(0.0, 2.0)),
        length=length,
        width=width,
        peak=_log_uniform(0.02, brightest, rng),
        cover=_log_uniform(0.003, 0.15, rng),
    )


def drizzle_layer(size: int, falls: list[Fall], rng: np.random.Generator) -> np.ndarray:
    """Draw the layer of all depths: float32 [size, size], 0 or more."""
    layer = np.zeros((size, size), np.float32)
    for fall in falls:
        margin = int(fall.length) + 4
        sides = (size + 2 * margin,) * 2
        chance = fall.cover / (1.5 * fall.length * max(fall.width, 1.0))
        drops = np.where(
            rng.random(sides, dtype=np.float32) < chance,
            0.3 + 0.7 * rng.random(sides, dtype=np.float32),
            np.float32(0.0),
        )
        streaks = np.clip(cv2.filter2D(drops, -1, _kernel(fall)), 0.0, 1.2)
        layer += fall.peak * streaks[margin:-margin, margin:-margin]
    return layer


def random_drizzle(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the layer of a random drizzle: float32 [height, width] in [0, 1], for ``lit_rain``."""
    layer = drizzle_layer(max(height, width), random_falls(rng), rng)
    return np.minimum(layer[:height, :width], 1.0)


def _kernel(fall: Fall) -> np.ndarray:
    radius = int(np.ceil(fall.length / 2)) + int(3 * fall.width) + 1
    rows, columns = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float32)
    tilt = np.deg2rad(fall.angle)
    along = np.abs(rows * np.cos(tilt) + columns * np.sin(tilt))
    across = columns * np.cos(tilt) - rows * np.sin(tilt)
    taper = np.clip(1.0 - along / (fall.length / 2 + 0.5), 0.0, 1.0) ** 0.5
    return (taper * np.exp(-0.5 * (across / fall.width) ** 2)).astype(np.float32)


def lit_rain(clean: np.ndarray, layer: np.ndarray, coloured: float) -> np.ndarray:
    """
    Add a layer to an image, in the colour of the light around each pixel.

    :param clean: uint8 RGB [H, W, 3].
    :param layer: [H, W] in [0, 1].
    :param coloured: 0 for white rain, 1 for rain that is dark where the scene is dark.
    :returns: uint8 RGB [H, W, 3].
    """
    light = cv2.GaussianBlur(clean, (0, 0), len(clean) / 8).astype(np.float32) / 255
    colour = 1.0 - coloured + coloured * np.minimum(1.6 * light, 1.0)
    return np.rint(np.minimum(clean + 255 * layer[..., None] * colour, 255.0)).astype(np.uint8)


def random_scene(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """
    Change a clean crop, uint8 RGB [H, W, 3], to what drizzle is filmed before.

    Some become night with a lamp, some out of focus. In some there are distant lights, wires,
    poles and lines, which are as small or thin as drops and streaks and must stay.
    """
    if rng.random() < BLUR_SHARE:
        image = cv2.GaussianBlur(image, (0, 0), _log_uniform(0.6, 6.0, rng))
    if rng.random() < NIGHT_SHARE:
        image = _night(image, rng)
    if rng.random() < LIGHTS_SHARE:
        image = _lights(image, rng)
    if rng.random() < LINES_SHARE:
        image = _lines(image, rng)
    return image


def _night(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    size = len(image)
    dark = image.astype(np.float32) * rng.uniform(0.08, 0.6)
    centre = rng.uniform(-0.3, 1.3, 2) * size
    rows, columns = np.mgrid[:size, :size].astype(np.float32)
    distance = np.hypot(rows - centre[0], columns - centre[1])
    glow = rng.uniform(0.3, 1.5) * np.exp(-distance / (size * _log_uniform(0.05, 1.5, rng)))
    lamp = np.array(LAMP_COLOURS[rng.integers(len(LAMP_COLOURS))], np.float32)
    return np.rint(np.minimum(dark + glow[..., None] * lamp, 255.0)).astype(np.uint8)


def _lights(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw one to six small bright lights, uint8 RGB [size, size, 3]."""
    size, light = len(image), image.astype(np.float32)
    rows, columns = np.mgrid[:size, :size].astype(np.float32)
    for _ in range(int(rng.integers(1, 7))):
        top, left = rng.uniform(0, size, 2)
        height, width = _log_uniform(0.6, 3.0, rng), _log_uniform(0.6, 3.0, rng)
        distance = ((rows - top) / height) ** 2 + ((columns - left) / width) ** 2
        spot = rng.uniform(0.25, 1.3) * np.exp(-0.5 * distance)
        lamp = np.array(LAMP_COLOURS[rng.integers(len(LAMP_COLOURS))], np.float32)
        light += spot[..., None] * lamp
    return np.rint(np.minimum(light, 255.0)).astype(np.uint8)


def _lines(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw one to three lines that cross the crop [size, size, 3], dark or bright."""
    size, image = len(image), image.copy()
    for _ in range(int(rng.integers(1, 4))):
        middle, angle = rng.uniform(0, size, 2), rng.uniform(0, np.pi)
        step = 2 * size * np.array([np.cos(angle), np.sin(angle)])
        # in sixteenths of a pixel
        start, end = np.rint(16 * np.array([middle - step, middle + step])).astype(int).tolist()
        grey = rng.integers(0, 110) if rng.random() < 0.7 else rng.integers(150, 256)
        colour = np.clip(grey + rng.normal(0, 8, 3), 0, 255).tolist()
        thickness = int(rng.integers(1, 4))
        drawn = image.copy()
        cv2.line(drawn, start, end, colour, thickness, cv2.LINE_AA, shift=4)
        share = rng.uniform(0.4, 1.0)
        image = cv2.addWeighted(drawn, share, image, 1 - share, 0.0)
    return image


def sharpened(image: np.ndarray, amount: float) -> np.ndarray:
    """Sharpen a uint8 image [H, W, 3], as cameras do: bright edges get dark seams."""
    return cv2.addWeighted(image, 1 + amount, cv2.GaussianBlur(image, (0, 0), 1.2), -amount, 0.0)


def _log_uniform(low: float, high: float, rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
