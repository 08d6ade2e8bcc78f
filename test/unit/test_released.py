"""The released models: found by name, and refused where they are not what was released."""

from pathlib import Path
import shutil
import subprocess

import pytest

from derain_ros.errors import ModelError
from derain_ros.model.export import load_network
from derain_ros.model.graph import load_graph
from derain_ros.model.released import (
    find_model,
    MANIFEST,
    MODELS,
    onnx_file,
    read_manifest,
    released_names,
    update_manifest,
)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Return a folder with two models and their manifest."""
    for name in ('fast', 'fast-light'):
        shutil.copy(MODELS / f'{name}.onnx', tmp_path)
    update_manifest(tmp_path, [path.name for path in tmp_path.iterdir()])
    return tmp_path


def test_the_manifest_names_every_released_file_and_sha256sum_agrees():
    files = {path.name for path in MODELS.glob('*.onnx')}
    assert read_manifest(MODELS).keys() == files
    subprocess.run(['sha256sum', '--check', '--strict', MANIFEST], cwd=MODELS, check=True)


def test_a_released_model_is_found_by_its_name():
    assert find_model('fast') == MODELS / 'fast.onnx'
    assert set(released_names()) >= {'fast', 'reference-light'}
    with pytest.raises(
        ModelError, match=r"model 'fats': neither a released name \(fast, .* nor a"
    ):
        find_model('fats')


def test_a_released_model_that_is_not_installed_is_told_from_one_that_is_not_known(
    models, monkeypatch
):
    monkeypatch.setattr('derain_ros.model.released.MODELS', models)
    (models / 'fast-light.onnx').unlink()
    with pytest.raises(ModelError, match=r"'fast-light': is released, but not installed .* path"):
        find_model('fast-light')


def test_a_name_is_no_path(models, monkeypatch):
    monkeypatch.chdir(models)
    assert find_model('fast-light.onnx') == Path('fast-light.onnx')
    for name in (str(models / 'fast'), '../models/fast'):
        with pytest.raises(ModelError, match='neither a released name'):
            find_model(name)


@pytest.mark.parametrize('name', ['x' * 290 + '.onnx', '~nobody-of-this-name/x.onnx'])
def test_a_path_that_cannot_be_is_named_as_it_was_given(name):
    with pytest.raises(ModelError, match=f"model '{name}': cannot be opened") as refused:
        find_model(name)
    assert '.onnx.onnx' not in str(refused.value)


def test_a_name_without_end_is_cut():
    with pytest.raises(ModelError, match=r'neither a released name|cannot be opened') as refused:
        find_model('x' * 100_000)
    assert len(str(refused.value)) < 1000


def test_a_folder_that_may_not_be_entered_is_named_as_it_was_given(monkeypatch):
    def refuse(path: Path) -> None:  # as it does for any user but root
        raise PermissionError(13, 'Permission denied', str(path))

    monkeypatch.setattr(Path, 'is_file', refuse)
    with pytest.raises(ModelError, match=r"'/root/x\.onnx': cannot be opened \(Permission denied"):
        find_model('/root/x.onnx')


@pytest.mark.parametrize(
    'load', [load_network, lambda path: load_graph(str(path))], ids=['network', 'graph']
)
@pytest.mark.parametrize(
    'damage',
    [
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(path.read_bytes()[:-1] + b'?'),
        lambda path: shutil.copy(path.with_stem('fast-light'), path),
    ],
    ids=['truncated', 'one byte', 'swapped'],
)
def test_a_damaged_model_is_refused_with_the_way_out(models, load, damage):
    load(models / 'fast.onnx')
    damage(models / 'fast.onnx')
    with pytest.raises(ModelError, match=r'fast.onnx: is damaged .* install derain_ros again, or'):
        load(models / 'fast.onnx')


def test_a_released_graph_that_is_damaged_is_refused_by_its_name(models, monkeypatch):
    monkeypatch.setattr('derain_ros.model.released.MODELS', models)
    (models / 'fast.onnx').write_bytes(b'damaged')
    with pytest.raises(ModelError, match=r'fast\.onnx: is damaged'):
        load_graph('fast')


def test_a_model_of_ones_own_is_in_no_manifest(models):
    (models / 'fast.onnx').rename(models / 'mine.onnx')
    load_graph(str(models / 'mine.onnx'))


@pytest.mark.parametrize('content', [b'no manifest', b'\xff\xfe'])
def test_a_manifest_that_cannot_be_read_is_named(models, content):
    (models / MANIFEST).write_bytes(content)
    with pytest.raises(
        ModelError, match=r'SHA256SUMS: cannot be read .* install derain_ros again'
    ):
        load_graph(str(models / 'fast.onnx'))


def test_a_release_changes_its_own_lines_of_the_manifest_alone(models):
    before = read_manifest(models)
    for name in ('fast.onnx', 'fast-light.onnx'):
        (models / name).write_bytes(b'new')
    update_manifest(models, ['fast.onnx'])
    changed = {name for name, digest in read_manifest(models).items() if digest != before[name]}
    assert changed == {'fast.onnx'}


def test_weights_become_a_passing_onnx_file(tiny, traced):
    with onnx_file(str(tiny)) as path:
        assert load_graph(path).graph.initializer
    assert not Path(path).exists()
    with onnx_file('fast') as path:
        assert path == 'fast'


def test_weights_that_cannot_be_used_are_named_and_not_the_passing_file(tmp_path):
    (tmp_path / 'cut.safetensors').write_bytes(b'no weights')
    with (
        pytest.raises(ModelError, match=r'cut\.safetensors: not a safetensors file'),
        onnx_file(str(tmp_path / 'cut.safetensors')),
    ):
        pass
