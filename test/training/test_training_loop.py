"""The training loop: what it keeps, and what goes wrong."""

from pathlib import Path
import sys

from helpers.training import command, experiment, run_script, SCRIPT, weights
import numpy as np
from PIL import Image
import pytest
from safetensors import safe_open
import torch
import yaml

from derain_ros.files import write_atomically
from derain_ros.model.export import load_network
from training.configuration import Config, read_config
from training.data.batches import Batch
from training.errors import RunError
from training.loop import output
import training.train as training
from training.train import train

pytestmark = pytest.mark.usefixtures('one_thread')


def test_a_precision_that_the_cpu_lacks_is_replaced_and_said(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(torch.cpu, 'get_capabilities', dict)
    config = read_config(experiment(tmp_path, precision='bf16', steps=1))

    train(config, data, tmp_path / 'out', resume=False)

    said = 'bf16: this CPU has no instructions for it; training in float32\n'
    assert capsys.readouterr().out.startswith(said)


def test_two_processes_are_one_with_the_doubled_batch(data: Path, tmp_path: Path) -> None:
    one = read_config(experiment(tmp_path, batch=8, ema=0.0, matching=10.0, steps=3))
    train(one, data, tmp_path / 'one', resume=False)
    two = experiment(tmp_path, batch=4, ema=0.0, matching=10.0, steps=3)

    result = run_script(
        '-m',
        'torch.distributed.run',
        '--standalone',
        '--nproc-per-node',
        '2',
        *command(two, data, tmp_path / 'two'),
    )

    assert result.returncode == 0, result.stderr
    one_process, two_processes = (
        torch.cat([tensor.ravel() for tensor in weights(out).values()])
        for out in (tmp_path / 'one', tmp_path / 'two')
    )
    # the mean, because Adam turns the rounding of the smallest gradients into whole steps
    assert (two_processes - one_process).abs().mean() < 1e-7
    assert one_process.abs().mean() > 1e-2
    # and one may go on with what two began
    on = read_config(experiment(tmp_path, batch=8, ema=0.0, matching=10.0, steps=4))
    train(on, data, tmp_path / 'two', resume=True)
    assert torch.load(tmp_path / 'two' / 'checkpoint.pt')['step'] == 4


def test_what_is_learnt_is_kept(
    data: Path, config: Config, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    train(config, data, tmp_path / 'out', resume=False)

    for name in ('best', 'last'):
        path = tmp_path / 'out' / f'{name}.safetensors'
        with safe_open(path, framework='pt') as file:
            assert file.metadata() == {'shape': config.shape.to_json()}
        load_network(path)
    assert list((tmp_path / 'out' / 'tensorboard').iterdir())
    said = capsys.readouterr()
    assert '6: PSNR (Y) pairs' in said.out
    assert 'supervised=' in said.err and 'match=' in said.err


def test_matching_brings_the_statistics_together(data: Path, tmp_path: Path) -> None:
    def last_match(omega: float) -> float:
        config = read_config(
            experiment(
                tmp_path,
                matching=omega,
                steps=20,
                learning_rate=3e-3,
                schedule='constant',
                validate_every=100,
            )
        )
        run = training.Run(config, torch.device('cpu'))
        with_real = read_config(experiment(tmp_path))
        contents = training.read_data(with_real, data)
        crops = training.Crops(contents.sources, contents.real, seed=1, batch=4, size=16)
        return [run.learn(crops[step])[1].item() for step in range(20)][-1]

    assert last_match(10.0) < last_match(0.0) / 2


def test_non_finite_batch_is_skipped(
    data: Path, config: Config, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    item = training.Crops.__getitem__

    def broken(crops: training.Crops, step: int) -> Batch:
        batch = item(crops, step)
        return batch._replace(rainy=batch.rainy * float('nan')) if step == 3 else batch

    monkeypatch.setattr(training.Crops, '__getitem__', broken)
    train(config, data, tmp_path / 'out', resume=False)

    assert torch.load(tmp_path / 'out' / 'checkpoint.pt')['skipped'] == 1
    assert all(tensor.isfinite().all() for tensor in weights(tmp_path / 'out').values())


def test_run_stops_where_nothing_is_finite(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = training.Crops.__getitem__
    monkeypatch.setattr(
        training.Crops,
        '__getitem__',
        lambda crops, step: item(crops, step)._replace(
            rainy=torch.full((4, 3, 16, 16), float('inf'))
        ),
    )
    config = read_config(experiment(tmp_path, steps=50, validate_every=50, checkpoint_every=50))

    with pytest.raises(
        RunError,
        match='step 10: the loss was not finite 10 times in a row; train into another --out',
    ):
        train(config, data, tmp_path / 'out', resume=False)


def test_training_goes_on_while_the_disk_is_full(
    data: Path,
    config: Config,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    failures = [OSError(28, 'No space left on device')] * 3

    def write(path: Path, contents: bytes) -> None:
        if failures:
            raise failures.pop()
        write_atomically(path, contents)

    monkeypatch.setattr(training, 'check_room', lambda *_: None)  # full only later
    monkeypatch.setattr(output, 'write_atomically', write)
    scores = iter([30.0, 20.0])
    monkeypatch.setattr(training, 'validate', lambda *_: next(scores))
    train(config, data, tmp_path / 'out', resume=False)

    assert 'not saved (No space left on device)' in capsys.readouterr().out
    kept = torch.load(tmp_path / 'out' / 'checkpoint.pt')
    # the better weights of step 3 were never kept, so they are not the best there is
    assert (kept['step'], kept['best']) == (6, 20.0)
    assert (tmp_path / 'out' / 'best.safetensors').exists()


def test_the_experiment_of_the_front_page_trains(tmp_path: Path, street: np.ndarray) -> None:
    for name in (
        'rain_light/rainy/1.png',
        'rain_light/clean/1.png',
        'rain_light/rainy/181.png',
        'rain_light/clean/181.png',
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(street).save(tmp_path / name)
    quick = yaml.safe_load((SCRIPT.parent / 'config' / 'quick.yaml').read_text())
    (tmp_path / 'quick.yaml').write_text(yaml.safe_dump(quick | {'steps': 2, 'warm_up': 1}))

    result = run_script(*command(tmp_path / 'quick.yaml', tmp_path, tmp_path / 'out'))

    assert result.returncode == 0, result.stderr
    assert '2: PSNR (Y) rain_light' in result.stdout
    load_network(tmp_path / 'out' / 'best.safetensors')


def test_error_in_the_data_ends_the_command(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    path = experiment(tmp_path, real={'folders': ['nowhere']})
    monkeypatch.setattr(sys, 'argv', command(path, data, tmp_path / 'out'))

    assert training.main() == 2
    assert capsys.readouterr().err.startswith(f'error: {data / "nowhere"}: no such folder')
    assert not (tmp_path / 'out').exists()
