"""A run that was stopped goes on as if it had not been, and with nothing else."""

import os
from pathlib import Path
import signal
import subprocess
import sys
import time

from helpers.training import (
    assert_equal,
    command,
    experiment,
    train_in_halves,
    weights,
)
import pytest
import torch

from derain_ros.model.released import MODELS
from training.configuration import Config, read_config
from training.errors import RunError
from training.loop import run
from training.train import train

pytestmark = pytest.mark.usefixtures('one_thread')


@pytest.mark.parametrize(('precision', 'optimizer'), [('float32', 'adam'), ('bf16', 'muon')])
def test_resumed_run_gives_the_weights_of_an_uninterrupted_one(
    precision: str, optimizer: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = read_config(experiment(tmp_path, precision=precision, optimizer=optimizer))
    train(config, data, tmp_path / 'whole', resume=False)

    assert train_in_halves(config, data, tmp_path / 'halves', monkeypatch) == [
        0,
        1,
        2,
        3,
        4,
        3,
        4,
        5,
    ]
    assert_equal(weights(tmp_path / 'halves'), weights(tmp_path / 'whole'))


@pytest.mark.parametrize(
    ('every', 'left'),
    [
        (3, '--resume goes on from its last checkpoint, one every 3 steps'),
        (5, 'nothing is kept before the first checkpoint, at 5 steps'),
    ],
)
def test_a_run_that_is_interrupted_says_what_is_left_of_it(
    every: int,
    left: str,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    config = read_config(experiment(tmp_path, checkpoint_every=every))
    train_in_halves(config, data, tmp_path / 'out', monkeypatch)

    assert f'{tmp_path / "out"}: stopped at step 4; {left}\n' in capsys.readouterr().out


def test_resuming_what_was_never_begun_is_said(
    data: Path, config: Config, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    train(config, data, tmp_path / 'out', resume=True)

    said = f'{tmp_path / "out"}: holds no checkpoint to resume from; starting at step 0\n'
    assert capsys.readouterr().out.startswith(said)


def test_killed_run_goes_on(data: Path, tmp_path: Path) -> None:
    path = experiment(tmp_path, checkpoint_every=1, steps=12, validate_every=100)
    train(read_config(path), data, tmp_path / 'whole', resume=False)
    out = tmp_path / 'killed'
    process = subprocess.Popen(
        [sys.executable, *command(path, data, out)],
        stderr=subprocess.DEVNULL,
        env=os.environ | {'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': ''},
    )
    while not (out / 'checkpoint.pt').exists() and process.poll() is None:
        time.sleep(0.005)
    process.kill()
    assert process.wait() == -signal.SIGKILL

    train(read_config(path), data, out, resume=True)

    assert_equal(weights(out), weights(tmp_path / 'whole'))


def test_run_is_not_overwritten_nor_mixed_with_another(
    data: Path, config: Config, tmp_path: Path
) -> None:
    train(config, data, tmp_path / 'out', resume=False)

    with pytest.raises(RunError, match='holds a run; --resume it'):
        train(config, data, tmp_path / 'out', resume=False)
    other = read_config(experiment(tmp_path, learning_rate=1.0, crop=24))
    with pytest.raises(RunError, match='experiment with another crop, learning_rate; undo that'):
        train(other, data, tmp_path / 'out', resume=True)
    with pytest.raises(RunError, match='its steps are of 4 crops, and these would be of 8'):
        train(read_config(experiment(tmp_path, batch=8)), data, tmp_path / 'out', resume=True)
    with pytest.raises(RunError, match='has trained 6 steps, more than steps: 5; train into'):
        train(read_config(experiment(tmp_path, steps=5)), data, tmp_path / 'out', resume=True)


def test_resuming_does_not_need_what_the_run_started_from(data: Path, tmp_path: Path) -> None:
    first = tmp_path / 'first.onnx'
    first.write_bytes((MODELS / 'fast.onnx').read_bytes())
    half = read_config(experiment(tmp_path, start=str(first), steps=3))
    train(half, data, tmp_path / 'out', resume=False)
    first.unlink()

    whole = read_config(experiment(tmp_path, start=str(first), steps=6))
    train(whole, data, tmp_path / 'out', resume=True)

    assert torch.load(tmp_path / 'out' / 'checkpoint.pt')['step'] == 6
    missing = r"start: .*first\.onnx': neither a released name \(fast, "
    with pytest.raises(RunError, match=missing):
        train(
            read_config(experiment(tmp_path, start=str(first))),
            data,
            tmp_path / 'new',
            resume=False,
        )


@pytest.mark.parametrize('content', [b'', b'no checkpoint', None])
def test_a_damaged_checkpoint_is_named_with_the_way_out(
    content: bytes | None, data: Path, config: Config, tmp_path: Path
) -> None:
    train(config, data, tmp_path / 'out', resume=False)
    path = tmp_path / 'out' / 'checkpoint.pt'
    path.write_bytes(path.read_bytes()[:5000] if content is None else content)

    with pytest.raises(RunError, match=r'checkpoint\.pt: cut short, or no checkpoint; train into'):
        train(config, data, tmp_path / 'out', resume=True)


def test_a_run_without_fp16_goes_on_with_it_elsewhere(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half, whole = (
        read_config(experiment(tmp_path, precision='fp16', steps=steps)) for steps in (3, 6)
    )
    monkeypatch.setattr(run, 'usable_precision', lambda precision, device: 'float32')
    train(half, data, tmp_path / 'out', resume=False)
    monkeypatch.setattr(run, 'usable_precision', lambda precision, device: precision)

    resumed = run.Run(whole, torch.device('cpu'), tmp_path / 'out' / 'checkpoint.pt')

    assert (resumed.step, resumed.scaler.is_enabled()) == (3, True)
