"""An ablation from its command line, on a study of two arms."""

from collections.abc import Callable
import csv
from pathlib import Path
import shutil
import sys

from helpers.data import ROOT
from helpers.training import TorchDerainer
import numpy as np
from PIL import Image
import pytest
import yaml

from derain_ros.model.released import MODELS
from training import ablation
from training.data.scenes import read_scenes
from training.errors import ConfigError
from training.scores import ablation as scores_of_ablation
from training.scores.ablation import Sets
from training.study import read_study, slug

pytestmark = pytest.mark.usefixtures('one_thread')
STUDIES = ROOT / 'training' / 'studies'


@pytest.fixture
def data(tmp_path: Path, street: np.ndarray) -> Path:
    """Return four pairs; two of them are for validation."""
    root, rng = tmp_path / 'data', np.random.default_rng(0)
    for name in ('rainy', 'clean'):
        (root / 'pairs' / name).mkdir(parents=True)
    for index in range(1, 5):
        clean = np.minimum(street[:64, index : index + 64], 205)
        streaks = (rng.random((64, 64, 1)) < 0.05) * np.uint8(50)
        Image.fromarray(clean).save(root / f'pairs/clean/{index}.png')
        Image.fromarray(clean + streaks).save(root / f'pairs/rainy/{index}.png')
    return root


@pytest.fixture
def study(tmp_path: Path) -> Path:
    values = yaml.safe_load((STUDIES / 'recipe.yaml').read_text())
    values['experiment'] |= {
        'steps': 2,
        'batch': 2,
        'crop': 16,
        'validation': [3, 4],
        'shape': {'channels': 4, 'units': 1},
        'pairs': {'pairs': 1.0},
    }
    values |= {
        'arms': {'as it is': {}, 'loss 1 - SSIM': {'loss': 'ssim'}},
        'seeds': [1, 2],
        'scores': {'own': 'pairs'},
    }
    path = tmp_path / 'study.yaml'
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return path


@pytest.fixture
def run(
    study: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., int]:
    """Return the command on that study, timed on a small frame."""
    monkeypatch.setattr(scores_of_ablation, 'TIMED_FRAME', (64, 64, 3))
    monkeypatch.setattr(scores_of_ablation, 'open_derainer', TorchDerainer)

    def command(*more: str) -> int:
        monkeypatch.setattr(
            sys,
            'argv',
            [
                'ablation.py',
                '--study',
                str(study),
                '--data',
                str(data),
                '--out',
                str(tmp_path / 'out'),
                *more,
            ],
        )
        return ablation.main()

    return command


def change(study: Path, **arms: dict) -> None:
    values = yaml.safe_load(study.read_text())
    values['arms'] |= arms
    study.write_text(yaml.safe_dump(values, sort_keys=False))


def rows(out: Path) -> list[dict]:
    with (out / 'scores.csv').open(newline='') as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize('path', sorted(STUDIES.glob('*.yaml')), ids=lambda path: path.stem)
def test_every_arm_of_a_shipped_study_can_run(path: Path) -> None:
    study, configs = read_study(path)

    assert list(configs) == list(study.arms)
    # two equal arms would compare nothing, and two equal folders would mix their runs
    assert len({str(config) for config in configs.values()}) == len(configs)
    assert len({slug(arm) for arm in configs}) == len(configs)


def test_every_arm_and_seed_is_scored_once(run: Callable[..., int], tmp_path: Path) -> None:
    out = tmp_path / 'out'
    assert run('--arms', 'as it is') == 0
    first = rows(out)
    trained = (out / 'as-it-is-seed1' / 'checkpoint.pt').stat().st_mtime_ns

    assert run() == 0

    assert (out / 'as-it-is-seed1' / 'checkpoint.pt').stat().st_mtime_ns == trained
    scored = rows(out)
    assert scored[:2] == first
    assert [(row['arm'], row['seed']) for row in scored] == [
        ('as it is', '1'),
        ('as it is', '2'),
        ('loss 1 - SSIM', '1'),
        ('loss 1 - SSIM', '2'),
    ]
    scores = [float(row['own']) for row in scored]
    mean, deviation = np.mean(scores[:2]), np.std(scores[:2], ddof=1)
    lines = (out / 'scores.md').read_text().splitlines()
    assert lines[0] == '| arm | seeds | steps | own | ms |'
    assert lines[2].startswith(f'| as it is | 2 | 2.00 ± 0.00 | {mean:.2f} ± {deviation:.2f} | ')


def test_an_arm_that_was_changed_keeps_no_old_score(
    run: Callable[..., int], study: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert run('--arms', 'as it is') == 0
    old = rows(tmp_path / 'out')

    change(study, **{'as it is': {'loss': 'l1'}})
    assert run('--arms', 'as it is') == 2
    assert 'is of an experiment with another loss' in capsys.readouterr().err

    change(study, **{'as it is': {'steps': 3}})
    assert run('--arms', 'as it is') == 0
    new = rows(tmp_path / 'out')
    assert [row['seed'] for row in new] == ['1', '2']
    assert all(after['own'] != before['own'] for before, after in zip(old, new))

    change(study, **{'as it is': {'steps': 2}})
    assert run('--arms', 'as it is') == 2
    assert 'has trained 3 steps, more than steps: 2' in capsys.readouterr().err
    assert rows(tmp_path / 'out') == new


def test_scores_of_other_sets_are_kept_and_named(
    run: Callable[..., int], study: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert run('--arms', 'as it is') == 0
    old = rows(tmp_path / 'out')

    study.write_text(study.read_text().replace('own: pairs', 'other: pairs'))
    assert run('--arms', 'as it is') == 2
    assert (
        'scores.csv: has the columns arm, seed, left_out, minutes, steps, own, ms'
        in capsys.readouterr().err
    )
    assert rows(tmp_path / 'out') == old


def test_pairs_that_score_nothing_are_named_before_training(
    run: Callable[..., int], study: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    change(study, **{'as it is': {'validation': [181, 200]}})

    assert run() == 2
    assert (
        f"error: {data / 'pairs'}: has no pair numbered 181 to 200 to score arm 'as it is'"
        in capsys.readouterr().err
    )
    assert not (tmp_path / 'out').exists()


def test_mistakes_are_named(
    run: Callable[..., int], study: Path, capsys: pytest.CaptureFixture
) -> None:
    assert run('--arms', 'other') == 2
    assert capsys.readouterr().err == (
        f"error: {study}: has no arm 'other'; it has as it is, loss 1 - SSIM\n"
    )
    change(study, **{'as it is': {'crops': 32}})
    with pytest.raises(ConfigError, match="arm 'as it is': unknown key 'crops'; did you mean"):
        read_study(study)


def test_only_what_is_held_out_is_scored(
    study: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scores_of_ablation, 'open_derainer', TorchDerainer)
    monkeypatch.setattr(scores_of_ablation, 'TIMED_FRAME', (64, 64, 3))
    config = read_study(study)[1]['as it is']
    scenes, weights = read_scenes(data / 'pairs', 'pairs'), MODELS / 'fast.onnx'

    of_all, of_held_out = (
        scores_of_ablation.score(Sets({'own': part}, {}, None), config, [], weights)['own']
        for part in (scenes, scenes[2:])
    )

    assert [scene.number for scene in scenes] == [1, 2, 3, 4]
    assert of_all == of_held_out


def test_sets_are_swapped_in_scoring_as_they_are_in_training(
    run: Callable[..., int], study: Path, data: Path, tmp_path: Path
) -> None:
    assert run('--arms', 'as it is') == 0
    first = rows(tmp_path / 'out')
    (data / 'pairs' / 'rainy').rename(data / 'rainy')
    (data / 'pairs' / 'clean').rename(data / 'pairs' / 'rainy')
    (data / 'rainy').rename(data / 'pairs' / 'clean')
    shutil.rmtree(tmp_path / 'out')

    assert run('--arms', 'as it is') == 2
    values = yaml.safe_load(study.read_text())
    values['experiment']['pairs'] = {'pairs': {'share': 1.0, 'swapped': True}}
    study.write_text(yaml.safe_dump(values, sort_keys=False))
    assert run('--arms', 'as it is') == 0

    assert [row['own'] for row in rows(tmp_path / 'out')] == [row['own'] for row in first]


@pytest.mark.parametrize('seeds', [[], [1, -1]])
def test_seeds_that_cannot_be_are_named(study: Path, seeds: list[int]) -> None:
    study.write_text(yaml.safe_dump(yaml.safe_load(study.read_text()) | {'seeds': seeds}))

    with pytest.raises(ConfigError, match=r'study\.yaml: seeds: \[.*\]; name one or more, from 0'):
        read_study(study)
