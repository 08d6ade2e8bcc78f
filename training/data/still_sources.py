"""Crops of the real rain that cameras saw while they stood still."""

from dataclasses import dataclass

import cv2
import numpy as np

from training.data.drizzle import lit_rain
from training.data.sources import mirrored, photographed, random_window
from training.data.stills import real_layer, Still

# *inferred*
SCALES = (0.6, 1.7)
GAINS = (0.6, 2.0)
LEAST_RAIN = 0.004  # share of a window's pixels
LEAST_STATIC = 0.5
TRIES = 8


class StillLayerSource:
    """Crops of clean images under the rain of stills, in the colour of the scene's light."""

    def __init__(self, images: list[np.ndarray], stills: list[Still], sensor: float = 0.5) -> None:
        self._images, self._sensor = images, sensor
        # as bytes, a quarter of the memory
        self._layers = [
            np.rint(real_layer(still, index) * 255).astype(np.uint8)
            for still in stills
            for index in range(len(still.frames))
        ]

    def crop(self, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        image = self._images[rng.integers(len(self._images))]
        clean = mirrored(image[random_window(image, size, rng)], rng)
        layer = self._layer(size, rng) * rng.uniform(*GAINS) / 255
        rainy = lit_rain(clean, layer.astype(np.float32), float(rng.uniform(0.0, 1.0)))
        return photographed(rainy, clean, self._sensor, rng)

    def _layer(self, size: int, rng: np.random.Generator) -> np.ndarray:
        """Draw a window with rain in it, nearer or farther than it was: float32 [size, size]."""
        for _ in range(TRIES):
            layer = self._layers[rng.integers(len(self._layers))]
            scale = np.exp(rng.uniform(*np.log(SCALES)))
            side = min(int(np.ceil(size / scale)), *layer.shape)
            window = layer[random_window(layer, side, rng)]
            if (window > 0).mean() > LEAST_RAIN:
                break
        return cv2.resize(window.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA)


@dataclass(frozen=True)
class MedianPairSource:
    """Crops of frames of stills, with the median as the clean image, where only rain moves."""

    stills: list[Still]

    def crop(self, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        for _ in range(TRIES):
            still = self.stills[rng.integers(len(self.stills))]
            window = random_window(still.median, size, rng)
            static = still.rain_only[window]
            if static.mean() >= LEAST_STATIC:
                break
        rainy = still.frames[rng.integers(len(still.frames))][window]
        clean = still.median[window]
        # what moves is the same in both, so that nothing is learnt from it
        return np.where(static[..., None], rainy, clean), clean
