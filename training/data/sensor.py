"""What a camera does to a scene: clip it against the light, add sensor noise, then JPEG."""

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True, kw_only=True)
class Sensor:
    """
    One camera's sensor and encoder.

    :param shot, read: noise variance is shot x intensity + read (Foi et al. 2008).
    :param quality: of JPEG, 1 to 100.
    :param seed: of the noise; the same sensor adds the same noise to each image.
    """

    shot: float
    read: float
    quality: int
    seed: int

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Take a picture of uint8 RGB [H, W, 3]; returns the same."""
        light = image.astype(np.float32) / 255
        noise = np.random.default_rng(self.seed).standard_normal(image.shape, np.float32)
        noisy = light + noise * np.sqrt(self.shot * light + self.read)
        grey = np.rint(np.clip(noisy, 0.0, 1.0) * 255).astype(np.uint8)
        _, code = cv2.imencode('.jpg', grey[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, self.quality])
        decoded = cv2.imdecode(code, cv2.IMREAD_COLOR)
        assert decoded is not None
        return decoded[..., ::-1]


def random_sensor(rng: np.random.Generator) -> Sensor:
    """
    Draw a camera.

    Read noise follows shot noise as Brooks et al. 2019 fitted it, at a tenth of their range:
    theirs is of raw images, ours are developed (*inferred*). JPEG 60 to 95 (*inferred*).
    """
    shot = np.exp(rng.uniform(np.log(1e-5), np.log(1e-3)))
    read = np.exp(2.18 * np.log(shot) + 1.20 + rng.normal(0.0, 0.26))
    return Sensor(
        shot=float(shot),
        read=float(read),
        quality=int(rng.integers(60, 96)),
        seed=int(rng.integers(2**31)),
    )


def backlit(image: np.ndarray, gain: float) -> np.ndarray:
    """Stretch the contrast of a uint8 image [H, W, 3] about its mean, until both ends clip."""
    mean = image.mean()
    return np.rint(np.clip((image - mean) * gain + mean, 0, 255)).astype(np.uint8)
