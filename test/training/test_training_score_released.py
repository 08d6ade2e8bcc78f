"""The released models scored, and the tables of the documentation written anew."""

from pathlib import Path
import sys

import cv2
import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from training import score_released
from training.score_released import main, sets_of

PAGE = 'before\n<!-- scores: of today -->\n| old |\n<!-- end of scores -->\nafter\n'


@pytest.fixture
def sets(tmp_path: Path, street: np.ndarray) -> Path:
    """Return the three sets: one pair that is held out, and one that is trained on."""
    for index, name in enumerate(score_released.SETS):
        for folder, image in (('clean', street), ('rainy', cv2.add(street, 10 * (index + 1)))):
            (tmp_path / name / folder).mkdir(parents=True)
            for number, kept in ((180, np.full_like(street, 128)), (181, image)):
                prefix = 'rain' if folder == 'rainy' else 'norain'
                cv2.imwrite(str(tmp_path / name / folder / f'{prefix}-{number}.png'), kept)
    return tmp_path


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a checkout that is its two pages."""
    (tmp_path / 'docs').mkdir()
    for page in ('README.md', 'docs/results.md'):
        (tmp_path / page).write_text(PAGE)
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, data: Path, pages: Path) -> int:
    arguments = ['score_released.py', '--data', str(data), '--pages', str(pages)]
    monkeypatch.setattr(sys, 'argv', arguments)
    monkeypatch.setattr(score_released, 'released_names', lambda: ['fast', 'fast-light'])
    return main()


def test_the_tables_of_both_pages_are_written_anew(
    sets: Path, checkout: Path, street: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(monkeypatch, sets, checkout) == 0

    full = (checkout / 'docs' / 'results.md').read_text()
    assert full.startswith('before\n<!-- scores: of today -->\n| | weights |')
    assert full.endswith('|\n<!-- end of scores -->\nafter\n')
    cells = [[cell.strip() for cell in line.split('|')] for line in full.splitlines()[4:8]]
    assert [(row[1][:5], row[2]) for row in cells] == [
        ('light', '`fast`'),
        ('heavy', '`fast`'),
        ('mixed', '`fast`'),
        ('light', '`fast-light`'),
    ]
    for row, levels in zip(cells, (10, 20, 30, 10), strict=True):
        expected = peak_signal_noise_ratio(street, cv2.add(street, levels))
        assert row[5].split()[0] == f'{expected:.2f}'

    headline = (checkout / 'README.md').read_text().splitlines()
    assert headline[2] == '| | input | `fast` | `fast-light` |'
    before, fast, light = (
        cells[row][column].split()[0] for row, column in ((0, 3), (0, 4), (3, 4))
    )
    assert headline[4].endswith(f' | {before} | {fast} | {light} |')


@pytest.mark.parametrize('text', ['no table', PAGE + PAGE])
def test_a_page_without_a_place_for_the_table_is_named(
    text: str, sets: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    (checkout / 'docs' / 'results.md').write_text(text)

    assert run(monkeypatch, sets, checkout) == 2
    assert 'results.md: has ' in capsys.readouterr().err
    assert (checkout / 'README.md').read_text() == PAGE


@pytest.mark.parametrize(
    ('model', 'sets'),
    [
        ('fast', ['rain_light', 'rain_heavy', 'rain_mixed']),
        ('fast-light', ['rain_light']),
        ('reference-heavy', ['rain_heavy']),
    ],
)
def test_a_model_is_scored_on_what_it_is_for(model: str, sets: list[str]) -> None:
    assert sets_of(model) == sets
