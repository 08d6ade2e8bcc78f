"""A released model from its command line: one file, for the car and for training."""

from pathlib import Path
import subprocess
import sys

from helpers.data import ROOT
from helpers.stills import rain_before, scene, write_video
import numpy as np
from PIL import Image
import pytest
from safetensors.torch import load_file, save_file
import torch
from torch.nn import functional

from derain_ros.engine.openvino import OpenVinoEngine
from derain_ros.errors import DataError
from derain_ros.model.export import load_network
from derain_ros.model.network import DerainNetwork, Shape
from training.errors import GateError
from training.release import calibrate_bias, main, release

SCRIPT = ROOT / 'training' / 'release.py'
SHAPE = Shape(channels=4, units=1, unshuffle=2)


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = DerainNetwork(SHAPE)
    path = tmp_path / 'best.safetensors'
    save_file(network.state_dict(), path, {'shape': SHAPE.to_json()})
    return path


@pytest.fixture
def dry(tmp_path: Path, street: np.ndarray) -> Path:
    """Return a folder with one rain-free image."""
    (tmp_path / 'dry').mkdir()
    # what even sides leave of any image
    Image.fromarray(street[:92, :128]).save(tmp_path / 'dry' / 'street.png')
    return tmp_path / 'dry'


def shifts(network: DerainNetwork, image: np.ndarray) -> torch.Tensor:
    """Return the median change of each of the 12 folded channels, in grey levels."""
    rainy = torch.from_numpy(image[None]).permute(0, 3, 1, 2) / 255
    with torch.inference_mode():
        change = functional.pixel_unshuffle(network(rainy) - rainy, 2)
    return change[0].flatten(1).median(dim=1).values * 255


def test_the_graph_gives_what_its_weights_give_in_pytorch(
    trained: Path, dry: Path, tmp_path: Path, street: np.ndarray
) -> None:
    folder = tmp_path / 'models'
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, SCRIPT, trained, 'small', '--folder', folder, '--rain-free', dry],
        capture_output=True,
        text=True,
        check=False,
        cwd='/',
    )
    assert done.returncode == 0, done.stderr

    assert sorted(path.name for path in folder.iterdir()) == ['SHA256SUMS', 'small.onnx']
    released = load_network(folder / 'small.onnx')
    for name, weight in released.state_dict().items():
        assert torch.equal(weight.half().float(), weight), f'{name} is rounded to float16'
    images = torch.from_numpy(street[None]).permute(0, 3, 1, 2) / 255
    with torch.inference_mode():
        expected = released(images)[0].permute(1, 2, 0).numpy()
    out = np.empty_like(street)[None]
    OpenVinoEngine(str(folder / 'small.onnx'), 'f32').infer(street[None], out, 'rgb')
    assert np.abs(out[0] - np.clip(expected * 255, 0, 255)).max() <= 1
    # what float16 leaves of the change of rain-free images
    assert shifts(released, street[:92, :128]).abs().max() < 0.05


@pytest.mark.parametrize('residual', [True, False])
def test_rain_free_images_come_out_as_bright_as_they_went_in(
    residual: bool, street: np.ndarray
) -> None:
    torch.manual_seed(0)
    network = DerainNetwork(Shape(channels=4, units=1, unshuffle=2, residual=residual))
    network.image_conversion.bias.data += torch.linspace(-0.02, 0.02, 12)
    street = street[:92, :128]
    assert shifts(network, street).abs().max() > 2

    calibrate_bias(network, [street])

    assert shifts(network, street).abs().max() < 0.01


def test_weights_that_float16_cannot_carry_release_nothing(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    weights = load_file(trained)
    weights['image_conversion.bias'][1] = 1e6
    save_file(weights, trained, {'shape': SHAPE.to_json()})
    folder = tmp_path / 'models'
    folder.mkdir()
    monkeypatch.setattr(sys, 'argv', ['release', str(trained), 'small', '--folder', str(folder)])

    assert main() == 2
    said = capsys.readouterr().err
    assert f"{trained}: weight 'image_conversion.bias' is too large for float16" in said
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_written_to_is_named_first(tmp_path: Path) -> None:
    (tmp_path / 'file').touch()
    with pytest.raises(DataError, match='file: cannot be written to'):
        release(tmp_path / 'no weights', 'small', tmp_path / 'file')


def test_a_folder_without_rain_free_images_is_named(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match='dry: no such folder'):
        release(trained, 'small', tmp_path, [tmp_path / 'dry'])
    assert not list(tmp_path.glob('small*'))


def test_weights_that_make_real_rain_worse_are_not_released(tmp_path: Path) -> None:
    clip = write_video(tmp_path / 'yard.mp4', rain_before(scene(), 60))
    folder = tmp_path / 'models'
    network = DerainNetwork(SHAPE)
    torch.nn.init.zeros_(network.image_conversion.weight)
    for name, levels in (('same', 0.01), ('darker', 7)):
        torch.nn.init.constant_(network.image_conversion.bias, levels / 255)
        save_file(
            network.state_dict(), tmp_path / f'{name}.safetensors', {'shape': SHAPE.to_json()}
        )

    release(tmp_path / 'same.safetensors', 'same', folder, clips=[str(clip)])
    with pytest.raises(GateError, match='not to be released: yard comes out -'):
        release(tmp_path / 'darker.safetensors', 'darker', folder, clips=[str(clip)])

    assert {path.stem for path in folder.glob('*.onnx')} == {'same'}
