"""An ablation of real rain: every camera is scored by weights that did not see it."""

from collections.abc import Callable
import csv
from dataclasses import replace
from pathlib import Path
import sys

from helpers.data import ROOT
from helpers.stills import rain_before, scene, write_video
from helpers.training import TorchDerainer
import pytest
import yaml

from training import ablation
from training.errors import ConfigError
from training.scores import ablation as scores_of_ablation
from training.scores.ablation import table
from training.study import read_study, trainings

pytestmark = pytest.mark.usefixtures('one_thread')
STUDY = ROOT / 'training' / 'studies' / 'real-rain.yaml'
CAMERAS = {'yard': 0, 'lamps': 1}


@pytest.fixture
def study(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the study of real rain made small, on two cameras, with its data beside it."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    monkeypatch.setattr(scores_of_ablation, 'TIMED_FRAME', (64, 64, 3))
    monkeypatch.setattr(scores_of_ablation, 'open_derainer', TorchDerainer)
    for name, seed in CAMERAS.items():
        write_video(tmp_path / f'{name}.mp4', rain_before(scene(seed), 60))
    write_video(tmp_path / 'dry.mp4', scene()[None].repeat(3, axis=0))
    for name in ('pairs', 'clean', 'real'):
        (tmp_path / name).symlink_to(data / name)
    values = yaml.safe_load(STUDY.read_text())
    values |= {
        'seeds': [1],
        'scores': {'own': 'pairs'},
        'cameras': [f'{name}.mp4' for name in CAMERAS],
        'dry': 'dry.mp4',
    }
    values['arms'] = {name: values['arms'][name] for name in ('nothing', 'together')}
    values['experiment'] |= {
        'shape': 'fast',
        'start': 'fast',
        'batch': 4,
        'crop': 16,
        'precision': 'float32',
        'validation': [5, 6],
        'pairs': {'pairs': 0.5},
        'clean': ['clean'],
        'real': {'folders': ['real'], 'still': [{'path': f'{name}.mp4'} for name in CAMERAS]},
    }
    path = tmp_path / 'study.yaml'
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return path


@pytest.fixture
def run(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run the study; returns its exit status."""

    def command(*more: str) -> int:
        paths = ('--study', study, '--data', tmp_path, '--out', tmp_path / 'out')
        monkeypatch.setattr(sys, 'argv', ['ablation.py', *map(str, paths), *more])
        return ablation.main()

    return command


def rows(out: Path) -> list[dict]:
    with (out / 'scores.csv').open(newline='') as file:
        return list(csv.DictReader(file))


def test_an_arm_that_sees_stills_is_trained_once_without_each_camera() -> None:
    study, configs = read_study(STUDY)

    (blind,) = trainings(study, 'nothing', configs['nothing'], seed=2)
    seeing = trainings(study, 'median pairs', configs['median pairs'], seed=2)

    assert (blind.folder, blind.left_out, len(blind.cameras)) == ('nothing-seed2', '', 6)
    assert [training.left_out for training in seeing] == blind.cameras
    yard = seeing[0]
    assert (yard.folder, yard.cameras) == ('median-pairs-seed2-without-yard', ['yard'])
    assert len(yard.config.real.still) == 5
    assert not any('yard' in recording.path for recording in yard.config.real.still)
    assert yard.config == replace(configs['median pairs'], seed=2, real=yard.config.real)


def test_a_rehearsal_scores_every_arm_in_the_time_given(
    run: Callable[..., int], tmp_path: Path
) -> None:
    out = tmp_path / 'out'

    assert run('--minutes', '0.02') == 0

    scored = rows(out)
    assert [(row['arm'], row['left_out']) for row in scored] == [
        ('nothing', ''),
        ('together', 'yard'),
        ('together', 'lamps'),
    ]
    assert all(0 < int(row['steps']) < 100000 for row in scored)
    assert all(float(row['own']) > 0 and float(row['dry']) >= 0 for row in scored)
    # each camera by the training that did not see it
    assert [bool(row['yard']) for row in scored] == [True, True, False]
    assert [bool(row['lamps']) for row in scored] == [True, False, True]
    lines = (out / 'scores.md').read_text().splitlines()
    assert lines[0] == (
        '| arm | seeds | steps | own | yard | lamps | dry | ms | cameras, mean | cameras, worst |'
    )
    assert [line.split(' | ')[:2] for line in lines[2:]] == [
        ['| nothing', '1'],
        ['| together', '1'],
    ]


def test_what_was_interrupted_begins_anew_and_what_is_scored_stays(
    run: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, trained = tmp_path / 'out', []
    train, scoring = ablation.train, ablation.score

    def noted(*arguments: object, **options: object) -> None:
        trained.append((arguments[2].name, arguments[2].exists()))
        train(*arguments, **options)

    def interrupted(*arguments: object) -> dict:
        if len(trained) == 2:
            raise KeyboardInterrupt
        return scoring(*arguments)

    monkeypatch.setattr(ablation, 'train', noted)
    monkeypatch.setattr(ablation, 'score', interrupted)
    assert run('--minutes', '0.02') == 130
    before = rows(out)
    assert (out / 'together-seed1-without-yard').exists()

    assert run('--minutes', '0.02') == 0

    assert rows(out)[:1] == before
    # the second was trained to its end, but not scored: its time is over, and it begins anew
    assert trained == [
        ('nothing-seed1', False),
        ('together-seed1-without-yard', False),
        ('together-seed1-without-yard', False),
        ('together-seed1-without-lamps', False),
    ]


def test_an_arm_that_was_changed_is_refused(
    run: Callable[..., int], study: Path, capsys: pytest.CaptureFixture
) -> None:
    assert run('--arms', 'nothing', '--minutes', '0.02') == 0
    study.write_text(study.read_text().replace('nothing: {}', 'nothing: {clip: 0.1}'))

    assert run('--arms', 'nothing', '--minutes', '0.02') == 2
    assert 'is of an experiment with another clip' in capsys.readouterr().err


def test_cameras_that_cannot_be_scored_are_named_before_training(
    run: Callable[..., int], study: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    text = study.read_text()
    for wrong, message in (
        (text.replace('- yard.mp4', '- gone.mp4'), 'gone.mp4: cannot be read'),
        (text.replace('dry: dry.mp4', 'dry: gone.mp4'), 'gone.mp4: cannot be read'),
        (text.replace('- lamps.mp4', '- other/yard.mp4@3'), 'two clips have one name'),
        (text.replace('    - path: lamps.mp4\n', ''), 'none can be left out'),
        (text.replace('- path: lamps', '- path: gone'), 'gone.mp4: no such video or bag'),
    ):
        assert wrong != text
        study.write_text(wrong)
        assert run('--minutes', '0.02') == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_the_table_takes_the_mean_over_cameras_and_then_over_seeds() -> None:
    columns = ('arm', 'seed', 'left_out', 'minutes', 'steps', 'own', 'yard', 'lamps', 'ms')
    values = [
        ('nothing', '1', '', '5', '10', '30.0', '1.0', '-1.0', '8'),
        ('nothing', '2', '', '5', '20', '32.0', '1.0', '-2.0', '8'),
        ('layers', '1', 'yard', '5', '10', '30.0', '3.0', '', '8'),
        ('layers', '1', 'lamps', '5', '10', '31.0', '', '1.0', '8'),
    ]

    lines = table([dict(zip(columns, row)) for row in values], ['yard', 'lamps']).splitlines()

    assert lines[2:] == [
        '| nothing | 2 | 15.00 ± 7.07 | 31.00 ± 1.41 | 1.00 ± 0.00 | -1.50 ± 0.71 '
        '| 8.00 ± 0.00 | -0.25 ± 0.35 | -1.50 ± 0.71 |',
        '| layers | 1 | 10.00 | 30.50 | 3.00 | 1.00 | 8.00 | 2.00 | 1.00 |',
    ]


def test_a_study_of_one_camera_cannot_leave_it_out(tmp_path: Path) -> None:
    values = yaml.safe_load(STUDY.read_text())
    values['experiment']['real']['still'] = [{'path': 'video/still/yard.mp4'}]
    (tmp_path / 'study.yaml').write_text(yaml.safe_dump(values))

    with pytest.raises(ConfigError, match=r"arm '.*': of one recording in real"):
        read_study(tmp_path / 'study.yaml')
