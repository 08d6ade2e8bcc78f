"""A released model from its command line: three files of the same numbers."""

from pathlib import Path
import subprocess
import sys

from helpers.data import ROOT
import numpy as np
from PIL import Image
import pytest
from safetensors.torch import load_file, save_file
import torch
from torch.nn import functional

from derain_ros.engine.openvino import OpenVinoEngine
from derain_ros.model.export import load_network
from derain_ros.model.graph import load_graph
from derain_ros.model.half import is_half
from derain_ros.model.network import DerainNetwork, Shape

SCRIPT = ROOT / 'training' / 'release.py'


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = DerainNetwork(Shape(channels=4, units=1, unshuffle=2))
    path = tmp_path / 'best.safetensors'
    save_file(network.state_dict(), path, {'shape': network.shape.to_json()})
    return path


def release(*arguments: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, SCRIPT, *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_weights_and_both_graphs_give_one_picture(trained, tmp_path, street):
    folder = tmp_path / 'models'
    folder.mkdir()
    done = release(trained, 'small', '--folder', folder)
    assert done.returncode == 0, done.stderr

    assert sorted(path.name for path in folder.iterdir()) == [
        'small-fp16.onnx',
        'small.onnx',
        'small.safetensors',
    ]
    weights = load_file(folder / 'small.safetensors')
    assert {tensor.dtype for tensor in weights.values()} == {torch.float16}
    assert [
        is_half(load_graph(str(folder / name))) for name in ('small-fp16.onnx', 'small.onnx')
    ] == [True, False]
    images = torch.from_numpy(street[None]).permute(0, 3, 1, 2) / 255
    with torch.inference_mode():
        expected = load_network(folder / 'small.safetensors')(images)[0].permute(1, 2, 0).numpy()
    for name in ('small-fp16.onnx', 'small.onnx'):
        out = np.empty_like(street)[None]
        OpenVinoEngine(str(folder / name), 'f32').infer(street[None], out, 'rgb')
        assert np.abs(out[0] - np.clip(expected * 255, 0, 255)).max() <= 1, name


def test_weights_that_float16_cannot_carry_release_nothing(trained, tmp_path):
    weights = load_file(trained)
    weights['image_conversion.bias'][1] = 1e6
    save_file(weights, trained, {'shape': Shape(channels=4, units=1, unshuffle=2).to_json()})
    folder = tmp_path / 'models'
    folder.mkdir()
    done = release(trained, 'small', '--folder', folder)
    assert done.returncode == 2
    assert "weight 'image_conversion.bias' holds inf, which fp16 cannot carry" in done.stderr
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize('residual', [True, False])
def test_rain_free_images_come_out_as_bright_as_they_went_in(trained, tmp_path, street, residual):
    weights, shape = load_file(trained), Shape(channels=4, units=1, unshuffle=2, residual=residual)
    weights['image_conversion.bias'] += torch.linspace(-0.02, 0.02, 12)
    save_file(weights, trained, {'shape': shape.to_json()})
    dry, folder = tmp_path / 'dry', tmp_path / 'models'
    dry.mkdir(), folder.mkdir()
    street = street[:92, :128]  # what even sides leave of any image
    Image.fromarray(street).save(dry / 'street.png')

    done = release(trained, 'small', '--folder', folder, '--rain-free', dry)

    assert done.returncode == 0, done.stderr
    image = torch.from_numpy(street[None]).permute(0, 3, 1, 2) / 255
    with torch.inference_mode():
        before, after = (
            functional.pixel_unshuffle(load_network(path)(image) - image, 2)
            .flatten(2)
            .median(2)
            .values[0]
            for path in (trained, folder / 'small.safetensors')
        )
    assert before.abs().max() * 255 > 2  # grey levels
    assert after.abs().max() * 255 < 0.05  # what float16 leaves


def test_a_folder_without_rain_free_images_is_named(trained, tmp_path):
    done = release(trained, 'small', '--folder', tmp_path, '--rain-free', tmp_path / 'dry')

    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f'error: {tmp_path / "dry"}: no such folder')
    assert not list(tmp_path.glob('small*'))
