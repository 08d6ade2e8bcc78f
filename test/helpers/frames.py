"""Frames that go through an engine, and what PyTorch makes of them."""

import numpy as np
import torch

from derain_ros.engine.base import Engine
from derain_ros.model.network import DerainNetwork


def reference(network: DerainNetwork, frames: np.ndarray) -> np.ndarray:
    """De-rain uint8 RGB frames [N, H, W, 3] in float32 PyTorch."""
    images = torch.from_numpy(frames.copy()).permute(0, 3, 1, 2) / 255
    with torch.inference_mode():
        output = network(images)
    return (output * 255).clamp(0, 255).round().byte().permute(0, 2, 3, 1).numpy()


class TorchEngine(Engine):
    """Float32 PyTorch as an engine; frames are RGB."""

    name, precision, problem = 'torch', 'f32', ''

    def __init__(self, network: DerainNetwork) -> None:
        self._network = network

    def infer(self, frames, out, order, timeout=None) -> None:
        assert order == 'rgb'
        out[:] = reference(self._network, frames)

    def close(self) -> None:
        pass


def run(engine: Engine, frames: np.ndarray, order: str = 'rgb') -> np.ndarray:
    out = np.zeros_like(frames)
    engine.infer(frames, out, order)
    return out


def difference(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.abs(one.astype(int) - other).max())


def half_white() -> np.ndarray:
    image = np.zeros((96, 128, 3), np.uint8)
    image[:, 64:] = 255
    return image


SOLID = {
    'white': np.full((96, 128, 3), 255, np.uint8),
    'black': np.zeros((96, 128, 3), np.uint8),
    'half white': half_white(),
}
