"""What TensorBoard is shown of a run, and what becomes of that where the disk is full."""

import io
from pathlib import Path

from helpers.disk import small_disk
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tqdm import tqdm

from training.loop.reporting import Board


def shown(folder: Path) -> list[int]:
    events = EventAccumulator(str(folder))
    events.Reload()
    return [event.step for event in events.Scalars('loss')]


@pytest.mark.filterwarnings('ignore::pytest.PytestUnhandledThreadExceptionWarning')
def test_what_a_full_disk_keeps_from_tensorboard_is_said_and_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    board = Board(tmp_path, 0, tqdm(file=io.StringIO()))
    board.show(1, {'loss': 1.0})
    with small_disk():
        board.show(2, {}, {'street': noise})
    board.show(3, {'loss': 3.0})  # not tried before the next pictures
    board.show(4, {'loss': 4.0}, {'street': noise})
    board.show(5, {'loss': 5.0})
    board.close()

    assert shown(tmp_path) == [1, 4, 5]
    assert f'{tmp_path}: step 2 is not shown ([Errno 27]' in capsys.readouterr().out


def test_a_resumed_run_shows_its_steps_once(tmp_path: Path) -> None:
    for step, values in ((0, {1: 1.0, 2: 2.0, 3: 3.0}), (2, {3: 3.5, 4: 4.0})):
        board = Board(tmp_path, step, tqdm(file=io.StringIO()))
        for index, value in values.items():
            board.show(index, {'loss': value})
        board.close()

    assert shown(tmp_path) == [1, 2, 3, 4]


def test_nothing_is_written_where_nothing_is_shown(tmp_path: Path) -> None:
    Board(tmp_path / 'board', 0, tqdm(file=io.StringIO())).close()

    assert not (tmp_path / 'board').exists()
