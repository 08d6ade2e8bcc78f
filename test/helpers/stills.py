"""A camera before a scene in rain, whose truth is known because the rain is painted on."""

from pathlib import Path

import cv2
import numpy as np


def scene(seed: int = 0) -> np.ndarray:
    """Return a picture with texture at every size, uint8 RGB [96, 128, 3], none of it clipped."""
    rng = np.random.default_rng(seed)
    noise = rng.uniform(0, 255, (12, 16, 3)).astype(np.float32)
    return np.clip(cv2.resize(noise, (128, 96)), 40, 180).astype(np.uint8)


def rain_before(image: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """Return frames with other streaks in each, 30 grey levels bright, uint8 RGB [N, H, W, 3]."""
    rng = np.random.default_rng(seed)
    frames = np.repeat(image[None], count, axis=0)
    for frame in frames:
        for x, y in zip(rng.integers(0, 128, 12), rng.integers(0, 80, 12)):
            frame[y : y + 12, x : x + 2] = image[y : y + 12, x : x + 2] + 30
    return frames


def panned(count: int) -> np.ndarray:
    """Return what a camera sees that turns by three pixels a frame, uint8 RGB [N, 96, 128, 3]."""
    wide = np.hstack([scene(seed) for seed in range(3 + count * 3 // 128)])
    return np.stack([wide[:, 3 * index : 3 * index + 128] for index in range(count)])


def write_video(path: Path, frames: np.ndarray, rate: float = 20.0) -> Path:
    """Write frames as an MP4 file."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), rate, (128, 96))
    for frame in frames:
        writer.write(frame[..., ::-1])
    writer.release()
    return path
