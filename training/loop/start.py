"""The network as it is before the first step: from nothing, or from weights there are."""

from pathlib import Path

from derain_ros.errors import ModelError
from derain_ros.model.export import load_network
from derain_ros.model.graph import MODELS
from derain_ros.model.network import DerainNetwork
from training.configuration import Config


class RunError(RuntimeError):
    """A run that cannot start or go on; the message says why, and what to do."""


def start_network(config: Config) -> DerainNetwork:
    """
    Make the network as it is before the first step.

    :raises RunError: the weights to start from are missing, or of another shape.
    """
    if config.start is None:
        return DerainNetwork(config.shape)
    released = MODELS / f'{config.start}.safetensors'
    path = released if released.is_file() else Path(config.start)
    try:
        network = load_network(path)
    except ModelError as error:
        names = ', '.join(sorted(file.stem for file in MODELS.glob('*.safetensors')))
        raise RunError(f'start: {error}; give {names}, or a file, from where you stand') from error
    if network.shape != config.shape:
        raise RunError(
            f'start: {path}: is of {network.shape}, and the experiment of '
            f'{config.shape}; make them the same, or leave start out'
        )
    return network.train()
