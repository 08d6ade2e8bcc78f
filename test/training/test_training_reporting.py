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


@pytest.mark.filterwarnings('error')  # a thread's traceback is a warning here
def test_what_a_full_disk_keeps_from_tensorboard_is_said_and_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    board = Board(tmp_path, 0, tqdm(file=io.StringIO()))
    board.show(1, {'loss': 1.0})
    with small_disk():
        for step in range(2, 24):
            board.show(step, {'loss': 0.0}, {'street': noise})
    board.show(24, {'loss': 4.0}, {'street': noise})
    board.show(25, {'loss': 5.0})

    assert shown(tmp_path) == [1, 24, 25]
    assert len(list(tmp_path.iterdir())) == 1
    said = capsys.readouterr()
    assert said.out.count('\n') == 1 and not said.err
    assert f'{tmp_path}: step 2 is not shown ([Errno 27]' in said.out


def test_a_resumed_run_shows_its_steps_once(tmp_path: Path) -> None:
    for step, values in ((0, {1: 1.0, 2: 2.0, 3: 3.0}), (2, {3: 3.5, 4: 4.0})):
        board = Board(tmp_path, step, tqdm(file=io.StringIO()))
        for index, value in values.items():
            board.show(index, {'loss': value})

    assert shown(tmp_path) == [1, 2, 3, 4]


def test_nothing_is_written_where_nothing_is_shown(tmp_path: Path) -> None:
    Board(tmp_path / 'board', 0, tqdm(file=io.StringIO()))

    assert not (tmp_path / 'board').exists()
