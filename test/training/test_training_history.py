"""The log of a run that was interrupted, as a table and a picture."""

import csv
from pathlib import Path
import sys

from helpers.disk import small_disk
from helpers.training import experiment, train_in_halves
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from training.configuration import read_config
from training.history import main, MOST_POINTS, thinned, write_csv
import training.train as training

pytestmark = pytest.mark.usefixtures('one_thread')


def history(monkeypatch: pytest.MonkeyPatch, run: Path, table: Path, picture: Path) -> int:
    monkeypatch.setattr(
        sys, 'argv', ['history.py', str(run), '--csv', str(table), '--plot', str(picture)]
    )
    return main()


def test_every_step_logged_is_a_row_and_a_point(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, 'REPORT_EVERY_STEPS', 1)
    config, run = read_config(experiment(tmp_path)), tmp_path / 'out'
    # steps 1 to 4, of which 3 is kept, and then 4 to 6
    train_in_halves(config, data, run, monkeypatch)

    assert history(monkeypatch, run, tmp_path / 'log.csv', tmp_path / 'log.svg') == 0

    with (tmp_path / 'log.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    assert [row['step'] for row in rows] == ['1', '2', '3', '4', '5', '6']
    events = EventAccumulator(str(run / 'tensorboard'))
    events.Reload()
    for name in ('loss/supervised', 'loss/match', 'psnr_y/pairs'):
        held = {str(event.step): event.value for event in events.Scalars(name)}
        table = {row['step']: float(row[name]) for row in rows if row[name]}
        assert table == pytest.approx(held, rel=1e-5)
        assert list(table) == (['3', '6'] if name == 'psnr_y/pairs' else list('123456'))
    assert '<svg' in (tmp_path / 'log.svg').read_text()

    assert history(monkeypatch, run, tmp_path / 'other.csv', tmp_path / 'log.foo') == 2
    assert not (tmp_path / 'other.csv').exists()


@pytest.mark.parametrize('folders', ['', 'run', 'run/tensorboard'])
def test_run_without_a_log_is_named(
    folders: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / folders).mkdir(parents=True, exist_ok=True)

    assert history(monkeypatch, tmp_path / 'run', tmp_path / 'x.csv', tmp_path / 'x.svg') == 2
    assert capsys.readouterr().err == (
        f'error: {tmp_path / "run"}: has no TensorBoard log; name the --out of a training\n'
    )


def test_a_long_curve_is_thinned_to_means_that_end_where_it_ends() -> None:
    curve = {20 * (index + 1): float(index % 10) for index in range(5000)}

    points = thinned(curve)

    assert len(points) == MOST_POINTS
    assert max(points) == max(curve)
    assert sum(points.values()) / MOST_POINTS == pytest.approx(4.5)
    assert thinned({3: 1.0, 1: 2.0}) == {1: 2.0, 3: 1.0}


def test_a_full_disk_leaves_the_table_as_it_was(tmp_path: Path) -> None:
    table, longer = tmp_path / 'log.csv', {'loss': dict.fromkeys(range(500), 1.0)}
    write_csv({'loss': {1: 0.5}}, table)

    with small_disk(), pytest.raises(OSError, match=r'File too large: .*log\.csv'):
        write_csv(longer, table)

    assert table.read_text() == 'step,loss\n1,0.5\n'
