"""What several unit tests share: a car with a GPU, a tiny network, a cache with one engine."""

from collections.abc import Iterator
import logging
from pathlib import Path
import shutil
from typing import TYPE_CHECKING

import onnx
import pytest

from derain_ros.engine.tensorrt.cache import EngineCache

if TYPE_CHECKING:
    from helpers.car import Car


@pytest.fixture
def car() -> Iterator['Car']:
    from helpers.car import Car  # which skips the test where TensorRT is missing

    car = Car()
    yield car
    car.engine.close()


@pytest.fixture(scope='session')
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the weights of a tiny untrained network, whose rain is weak."""
    safetensors_torch = pytest.importorskip('safetensors.torch')
    torch = pytest.importorskip('torch')
    from derain_ros.model.network import DerainNetwork, Shape

    torch.manual_seed(0)
    network = DerainNetwork(Shape(channels=4, units=1))
    network.image_conversion.weight.data *= 0.1
    network.image_conversion.bias.data *= 0.1
    path = tmp_path_factory.mktemp('tiny') / 'tiny.safetensors'
    safetensors_torch.save_file(network.state_dict(), path, {'shape': network.shape.to_json()})
    return path


@pytest.fixture(scope='session')
def tiny_onnx(tiny: Path) -> Path:
    """Return the ONNX file of these weights."""
    from derain_ros.model.export import export, load_network

    path = tiny.with_suffix('.onnx')
    export(load_network(tiny), path)
    return path


@pytest.fixture
def traced(tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the graph of the tiny network at hand instead of tracing it, which takes seconds."""
    monkeypatch.setattr('derain_ros.model.export.frame_graph', lambda _: onnx.load(tiny_onnx))


@pytest.fixture(scope='session')
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache directory with one engine in it, of ``fast`` for 64x48."""
    from helpers.engines import SMALL

    from derain_ros.engine.tensorrt.build import build_engine

    directory = tmp_path_factory.mktemp('built') / 'derain_ros'
    build_engine('fast', SMALL, cache=EngineCache(directory))
    return directory


@pytest.fixture
def cache(built: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> EngineCache:
    """Return a copy of this cache, and have its messages recorded."""
    caplog.set_level(logging.INFO)
    return EngineCache(Path(shutil.copytree(built, tmp_path / 'derain_ros')))
