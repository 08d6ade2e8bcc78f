"""Scoring from the command line: pairs, real rain, rain-free images and a still camera."""

from collections.abc import Callable
import json
import os
from pathlib import Path
import re
import subprocess
import sys

from helpers.data import ROOT
import numpy as np
import onnx
from PIL import Image
import pytest
from safetensors.torch import save_file
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
import torch

from derain_ros.model.graph import load_graph
from derain_ros.model.network import DerainNetwork, Shape
from training.evaluate import main

SCRIPT = ROOT / 'training' / 'evaluate.py'


@pytest.fixture(scope='module')
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return weights that take seven grey levels off every image, and their graph beside them."""
    network = DerainNetwork(Shape(channels=4, units=1, unshuffle=2))
    torch.nn.init.zeros_(network.image_conversion.weight)
    torch.nn.init.constant_(network.image_conversion.bias, 7 / 255)
    path = tmp_path_factory.mktemp('weights') / 'minus7.safetensors'
    save_file(network.state_dict(), path, {'shape': network.shape.to_json()})
    graph = load_graph('fast')  # in place of an export, which takes long
    for tensor in graph.graph.initializer:
        if tensor.name.startswith('image_conversion'):
            value = 7 / 255 if tensor.name.endswith('bias') else 0.0
            values = np.full(tuple(tensor.dims), value, np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    onnx.save(graph, path.with_suffix('.onnx'))
    return path


@pytest.fixture
def pairs(tmp_path: Path, street: np.ndarray) -> Path:
    """Return pairs 1 to 3, with 9 grey levels of rain in the first and 7 in the others."""
    clean = np.clip(street, 0, 240)
    for number, rain in ((1, 9), (2, 7), (3, 7)):
        for name, image in (('rainy', clean + np.uint8(rain)), ('clean', clean)):
            (tmp_path / 'set' / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(tmp_path / 'set' / name / f'{number}.png')
    return tmp_path / 'set'


def run(*arguments: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, SCRIPT, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd='/',
    )


@pytest.fixture
def run_here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Callable[..., str]:
    """Return the command within this process, which starts sooner; it returns what is printed."""

    def command(*arguments: object) -> str:
        monkeypatch.setattr(sys, 'argv', ['evaluate.py', *map(str, arguments)])
        assert main() == 0
        return capsys.readouterr().out

    return command


@pytest.mark.parametrize('suffix', ['.safetensors', '.onnx'])
def test_pairs_are_scored_in_both_protocols(
    suffix: str, weights: Path, pairs: Path, tmp_path: Path
) -> None:
    out = tmp_path / 'scores.json'

    result = run(
        *('--weights', weights.with_suffix(suffix), '--data', pairs),
        *('--json', out, '--save', tmp_path / 'saved'),
    )

    assert result.returncode == 0, result.stderr
    scores = json.loads(out.read_text())
    assert scores.keys() == {'mean', 'input', 'images'}
    assert (
        scores['mean'].keys()
        == scores['input'].keys()
        == {'psnr_y', 'ssim_y', 'psnr_rgb', 'ssim_rgb'}
    )
    saved = np.asarray(Image.open(tmp_path / 'saved' / 'set' / '1.png'))
    clean = np.asarray(Image.open(pairs / 'clean' / '1.png'))
    # two grey levels are left of nine
    assert (saved.astype(int) - clean == 2).all()
    first = scores['images'][0]
    assert first['psnr_rgb'] == pytest.approx(peak_signal_noise_ratio(clean, saved))
    assert first['ssim_rgb'] == pytest.approx(
        structural_similarity(
            clean,
            saved,
            channel_axis=2,
            data_range=255,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )
    assert first['input']['psnr_rgb'] == pytest.approx(20 * np.log10(255 / 9))
    assert scores['mean']['psnr_rgb'] == pytest.approx(first['psnr_rgb'])


def test_identical_images_are_said_to_be_so(
    run_here: Callable[..., str], weights: Path, pairs: Path, tmp_path: Path
) -> None:
    out = tmp_path / 'scores.json'

    graph = weights.with_suffix('.onnx')
    said = run_here('--weights', graph, '--data', pairs, '--numbers', 2, 3, '--json', out)

    assert re.search(r'set/2 +Y identical 1\.0000 +RGB identical 1\.0000', said)
    scores = json.loads(out.read_text())
    assert [image['name'] for image in scores['images']] == ['set/2', 'set/3']
    assert scores['mean']['psnr_y'] is None


def test_real_rain_gets_a_page_with_sliders(
    run_here: Callable[..., str], weights: Path, pairs: Path, tmp_path: Path
) -> None:
    report = tmp_path / 'report'

    graph, rainy = weights.with_suffix('.onnx'), pairs / 'rainy'
    said = run_here('--weights', graph, '--data', rainy, '--truth', 'none', '--report', report)

    assert 'rain energy removed' in said
    page = (report / 'index.html').read_text()
    assert page.count('type="range"') == 3
    for file in re.findall(r'src="([^"]+)"', page):
        Image.open(report / file).verify()
    before, after = (
        np.asarray(Image.open(report / f'0000_{side}.jpg')).mean() for side in ('before', 'after')
    )
    assert before - after == pytest.approx(7, abs=0.5)
    assert Image.open(report / 'contact_sheet.jpg').size == (640, 960)


def test_a_name_that_is_not_utf8_gets_into_every_result(
    weights: Path, street: np.ndarray, tmp_path: Path
) -> None:
    name = os.fsdecode(b'caf\xe9')
    (tmp_path / 'rainy').mkdir()
    Image.fromarray(street).save(tmp_path / 'rainy' / f'{name}.png')
    out = {option: tmp_path / option for option in ('--json', '--save', '--report')}
    options = [word for option, path in out.items() for word in (option, path)]

    graph = weights.with_suffix('.onnx')
    result = run('--weights', graph, '--data', tmp_path / 'rainy', '--truth', 'none', *options)

    assert result.returncode == 0, result.stderr
    assert 'caf\\udce9' in result.stdout
    assert json.loads(out['--json'].read_text())['images'][0]['name'] == name
    assert [path.name for path in out['--save'].iterdir()] == [f'{name}.png']
    assert 'caf\\udce9' in (out['--report'] / 'index.html').read_text(encoding='utf-8')


def test_results_that_cannot_be_written_are_named_before_scoring(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / 'file').touch()
    for option, path in (('--json', 'file/x.json'), ('--save', 'file'), ('--report', 'file')):
        words = ['--weights', 'none', '--data', 'none', option, str(tmp_path / path)]
        monkeypatch.setattr(sys, 'argv', ['evaluate.py', *words])

        assert main() == 2
        assert f'error: {tmp_path / "file"}: cannot be written to' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'--weights': 'nothing.onnx'}, "model 'nothing.onnx': neither a released name"),
        ({'--data': 'nowhere'}, 'nowhere: no such folder'),
        ({'--numbers': '181 200'}, 'has no image numbered 181 to 200'),
    ],
)
def test_what_is_wrong_is_named(
    changes: dict[str, str],
    message: str,
    weights: Path,
    pairs: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    options = {'--weights': str(weights.with_suffix('.onnx')), '--data': str(pairs)} | changes
    words = [word for name, value in options.items() for word in (name, *value.split())]
    monkeypatch.setattr(sys, 'argv', ['evaluate.py', *words])

    assert main() == 2
    assert message in capsys.readouterr().err
