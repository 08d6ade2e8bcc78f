"""An ablation from its command line, on a study of two arms."""
import csv
from pathlib import Path
import subprocess
import sys

from ablation import read_study, slug
from configuration import ConfigError
import numpy as np
from PIL import Image
import pytest
import yaml

SCRIPT = Path(__file__).resolve().parents[1] / 'training' / 'ablation.py'
STUDIES = SCRIPT.parent / 'studies'


@pytest.fixture
def data(tmp_path: Path, street: np.ndarray) -> Path:
    """Give four pairs; two of them are for validation."""
    root, rng = tmp_path / 'data', np.random.default_rng(0)
    for name in ('rainy', 'clean'):
        (root / 'pairs' / name).mkdir(parents=True)
    for index in range(1, 5):
        clean = np.ascontiguousarray(street[:64, index:index + 64])
        streaks = (rng.random((64, 64, 1)) < 0.05) * np.uint8(50)
        Image.fromarray(clean).save(root / f'pairs/clean/{index}.png')
        Image.fromarray(np.minimum(clean, 205) + streaks).save(root / f'pairs/rainy/{index}.png')
    return root


@pytest.fixture
def study(tmp_path: Path) -> Path:
    values = yaml.safe_load((STUDIES / 'recipe.yaml').read_text())
    values['experiment'] |= {'steps': 2, 'batch': 2, 'crop': 16, 'validation': [3, 4],
                             'shape': {'channels': 4, 'units': 1}, 'pairs': {'pairs': 1.0}}
    values |= {'arms': {'as it is': {}, 'loss 1 - SSIM': {'loss': 'ssim'}}, 'seeds': [1, 2],
               'scores': {'own': 'pairs'}}
    path = tmp_path / 'study.yaml'
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return path


def run(*arguments: object) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, SCRIPT, *map(str, arguments)], capture_output=True,
                          text=True, check=False)


@pytest.mark.parametrize('path', sorted(STUDIES.glob('*.yaml')), ids=lambda path: path.stem)
def test_every_arm_of_a_shipped_study_can_run(path: Path) -> None:
    study, configs = read_study(path)

    assert list(configs) == list(study.arms)
    # two equal arms would compare nothing, and two equal folders would mix their runs
    assert len({str(config) for config in configs.values()}) == len(configs)
    assert len({slug(arm) for arm in configs}) == len(configs)


def test_every_arm_and_seed_is_scored_once(study: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / 'out'
    first = run('--study', study, '--data', data, '--out', out, '--arms', 'as it is')
    assert first.returncode == 0, first.stderr
    trained = (out / 'as-it-is-seed1' / 'checkpoint.pt').stat().st_mtime_ns

    assert run('--study', study, '--data', data, '--out', out).returncode == 0

    assert (out / 'as-it-is-seed1' / 'checkpoint.pt').stat().st_mtime_ns == trained
    with (out / 'scores.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    assert [(row['arm'], row['seed']) for row in rows] == [
        ('as it is', '1'), ('as it is', '2'), ('loss 1 - SSIM', '1'), ('loss 1 - SSIM', '2')]
    scores = [float(row['own']) for row in rows]
    mean, deviation = np.mean(scores[:2]), np.std(scores[:2], ddof=1)
    lines = (out / 'scores.md').read_text().splitlines()
    assert lines[0] == '| arm | seeds | own | ms |'
    assert lines[2].startswith(f'| as it is | 2 | {mean:.2f} ± {deviation:.2f} | ')


def test_mistakes_are_named(study: Path, data: Path, tmp_path: Path) -> None:
    done = run('--study', study, '--data', data, '--out', tmp_path, '--arms', 'other')
    assert (done.returncode, done.stderr) == (
        2, f"error: {study}: has no arm 'other'; it has as it is, loss 1 - SSIM\n")
    broken = yaml.safe_load(study.read_text())
    broken['arms']['as it is'] = {'crops': 32}
    study.write_text(yaml.safe_dump(broken))
    with pytest.raises(ConfigError, match="arm 'as it is': unknown key 'crops'; did you mean"):
        read_study(study)
