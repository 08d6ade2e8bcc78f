"""What several unit tests share: a car whose GPU does as the test says, and a tiny network."""

from collections.abc import Iterator
from pathlib import Path

from helpers.car import Car
import pytest
from safetensors.torch import save_file
import torch

from derain_ros.model.network import DerainNetwork, Shape


@pytest.fixture
def car() -> Iterator[Car]:
    car = Car()
    yield car
    car.engine.close()


@pytest.fixture(scope='session')
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the weights of a tiny untrained network, whose rain is weak."""
    torch.manual_seed(0)
    network = DerainNetwork(Shape(channels=4, units=1))
    network.image_conversion.weight.data *= 0.1
    network.image_conversion.bias.data *= 0.1
    path = tmp_path_factory.mktemp('tiny') / 'tiny.safetensors'
    save_file(network.state_dict(), path, {'shape': network.shape.to_json()})
    return path


@pytest.fixture(scope='session')
def tiny_onnx(tiny: Path) -> Path:
    """Return the ONNX file of these weights."""
    from derain_ros.model.export import export, load_network

    path = tiny.with_suffix('.onnx')
    export(load_network(tiny), path)
    return path
