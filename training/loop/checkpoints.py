"""Checkpoints and weights that a run starts from, and those it goes on from."""

from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from derain_ros.errors import ModelError
from derain_ros.model.export import load_network
from derain_ros.model.network import DerainNetwork
from derain_ros.model.released import find_model
from training.configuration import Config
from training.errors import RunError

# what to do about a checkpoint that cannot be used
WAY_OUT = 'train into another --out, with last.safetensors for start'


def start_network(config: Config) -> DerainNetwork:
    """
    Make the network as it is before the first step.

    :raises RunError: the weights to start from are missing, or of another shape.
    """
    if config.start is None:
        return DerainNetwork(config.shape)
    try:
        path = find_model(config.start)
        network = load_network(path)
    except ModelError as error:
        raise RunError(f'start: {error}; paths are relative to the working directory') from error
    if network.shape != config.shape:
        raise RunError(
            f'start: {path}: is of {network.shape}, and the experiment of '
            f'{config.shape}; make them the same, or leave start out'
        )
    return network.train()


def serialize(state: dict[str, Any]) -> bytes:
    """Return the bytes of a checkpoint: tensors, numbers, strings, and containers of these."""
    buffer = BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def read_checkpoint(path: Path, device: torch.device) -> dict[str, Any]:
    """
    Read what ``serialize`` wrote.

    :raises RunError: the file is no checkpoint, or ends too early.
    """
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # of many types, and of no help to users
        raise RunError(f'{path}: cut short, or no checkpoint; {WAY_OUT}') from error
    if not isinstance(state, dict):
        raise RunError(f'{path}: cut short, or no checkpoint; {WAY_OUT}')
    return state
