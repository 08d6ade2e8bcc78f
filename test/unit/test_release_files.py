"""The files of a release: gathered whole, and only from a repository that is ready."""

from pathlib import Path
import subprocess
from zipfile import ZipFile

from make_release import check_ready, gather, ReleaseError
import pytest
import torch

import derain_ros
from derain_ros.model.export import load_network
from derain_ros.model.graph import load_graph
from derain_ros.model.half import is_half
from derain_ros.model.released import MANIFEST


def test_a_release_has_the_wheel_and_each_model_in_three_forms(tmp_path, monkeypatch):
    monkeypatch.setattr('make_release.released_names', lambda: ['fast'])
    folder = tmp_path / 'dist'

    gather(folder)

    (wheel,) = folder.glob(f'derain_ros-{derain_ros.__version__}-*.whl')
    assert {path.name for path in folder.iterdir()} == {
        MANIFEST,
        'fast.onnx',
        'fast-fp16.onnx',
        'fast.safetensors',
        wheel.name,
    }
    subprocess.run(['sha256sum', '--check', '--strict', MANIFEST], cwd=folder, check=True)
    assert is_half(load_graph(str(folder / 'fast-fp16.onnx')))
    weights = load_network(folder / 'fast.safetensors').state_dict()
    for name, weight in load_network(folder / 'fast.onnx').state_dict().items():
        assert torch.equal(weights[name], weight), name
    packed = ZipFile(wheel)
    models = {name for name in packed.namelist() if 'models/' in name and name[-1] != '/'}
    assert models == {'derain_ros/models/fast.onnx', 'derain_ros/models/SHA256SUMS'}
    assert sum(file.file_size for file in packed.infolist()) < 10e6, 'what a car gets is small'


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository that is ready to be released."""
    root = tmp_path / 'repository'
    root.mkdir()
    (root / 'CHANGELOG.rst').write_text(f'Changes\n\n{derain_ros.__version__} (2026-11-26)\n---\n')
    for command in (['init', '-q'], ['add', '.'], ['commit', '-qm', 'All']):
        options = ['-c', 'user.name=a', '-c', 'user.email=a@b']
        subprocess.run(['git', *options, *command], cwd=root, check=True)
    return root


def test_a_repository_that_is_ready_is_released(repository, tmp_path):
    check_ready(tmp_path / 'dist', repository)


@pytest.mark.parametrize(
    'spoil, reason',
    [
        (lambda root, folder: folder.mkdir(), 'dist: is there already'),
        (lambda root, folder: (root / 'new.py').touch(), r'new\.py: is not committed'),
    ],
)
def test_what_is_easily_forgotten_is_named(repository, tmp_path, spoil, reason):
    spoil(repository, tmp_path / 'dist')
    with pytest.raises(ReleaseError, match=reason):
        check_ready(tmp_path / 'dist', repository)


def test_a_version_that_the_changelog_does_not_have_is_not_released(
    repository, tmp_path, monkeypatch
):
    monkeypatch.setattr(derain_ros, '__version__', '9.9.9')
    with pytest.raises(ReleaseError, match=r'has no section "9\.9\.9 \(date\)"'):
        check_ready(tmp_path / 'dist', repository)
