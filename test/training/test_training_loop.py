"""The training loop from its command line: many processes, and what goes wrong."""

from collections.abc import Iterator
import os
from pathlib import Path
import subprocess
import sys

from helpers.data import ROOT
import numpy as np
from PIL import Image
import pytest
from safetensors import safe_open
from safetensors.torch import load_file
import torch
from torch import Tensor
import yaml

from derain_ros.files import write_atomically
from derain_ros.model.export import load_network
from training.configuration import Config, read_config
from training.data.crops import Batch
from training.loop import checkpoints
from training.loop.start import RunError
import training.train as training
from training.train import train

SCRIPT = ROOT / 'training' / 'train.py'
EXPERIMENT = {
    'shape': 'fast',
    'seed': 1,
    'steps': 6,
    'batch': 4,
    'crop': 16,
    'learning_rate': 1e-3,
    'optimizer': 'muon',
    'warm_up': 2,
    'schedule': 'cosine',
    'weight_decay': 0.0,
    'loss': 'charbonnier+ssim',
    'matching': 1.0,
    'ema': 0.9,
    'clip': 1.0,
    'precision': 'float32',
    'workers': 0,
    'validate_every': 3,
    'checkpoint_every': 3,
    'validation': [5, 6],
    'pairs': {'pairs': 0.5},
    'clean': ['clean'],
    'synthetic': 0.2,
    'layers': 0.2,
    'identity': 0.1,
    'real': {'folders': ['real'], 'crops_per_frame': 2},
}


@pytest.fixture(scope='module', autouse=True)
def one_thread() -> Iterator[None]:
    """Keep sums in one order, which a GPU does not, and small tests quick."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, 'is_available', lambda: False)
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope='module')
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give six small pairs, and a few clean and rainy images."""
    root, rng = tmp_path_factory.mktemp('data'), np.random.default_rng(0)
    for name in ('pairs/rainy', 'pairs/clean', 'clean', 'real'):
        (root / name).mkdir(parents=True)
    for index in range(1, 7):
        clean = np.kron(rng.integers(0, 200, (6, 6, 3)), np.ones((8, 8, 1))).astype(np.uint8)
        streaks = (rng.random((48, 48, 1)) < 0.05) * np.uint8(50)
        for name, image in (
            ('pairs/clean', clean),
            ('pairs/rainy', clean + streaks),
            ('clean', clean),
            ('real', clean // 2 + 100 + streaks),
        ):
            Image.fromarray(image).save(root / name / f'{index}.png')
    return root


def experiment(folder: Path, **changes: object) -> Path:
    path = folder / 'experiment.yaml'
    path.write_text(yaml.safe_dump(EXPERIMENT | changes))
    return path


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return read_config(experiment(tmp_path))


def command(config: Path, data: Path, out: Path, *more: str) -> list[str]:
    return [str(SCRIPT), '--config', str(config), '--data', str(data), '--out', str(out), *more]


def run(*arguments: str) -> subprocess.CompletedProcess:
    environment = os.environ | {'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': ''}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env=environment, check=False
    )


def weights(out: Path) -> dict[str, Tensor]:
    return load_file(out / 'last.safetensors')


def train_in_halves(
    config: Config, data: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> list[int]:
    """Train, interrupted in the fifth step, and resume; give the step before each step taken."""
    learn, calls = training.Run.learn, []

    def interrupted(run: training.Run, batch: object) -> Tensor:
        calls.append(run.step)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return learn(run, batch)

    monkeypatch.setattr(training.Run, 'learn', interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(config, data, out, resume=False)
    train(config, data, out, resume=True)
    return calls


def assert_equal(left: dict[str, Tensor], right: dict[str, Tensor]) -> None:
    assert left.keys() == right.keys()
    for name, tensor in left.items():
        assert torch.equal(tensor, right[name]), name


def test_a_precision_that_the_cpu_lacks_is_replaced_and_said(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(torch.cpu, 'get_capabilities', dict)
    config = read_config(experiment(tmp_path, precision='bf16', steps=1))

    train(config, data, tmp_path / 'out', resume=False)

    said = 'bf16: this CPU has no instructions for it; training in float32\n'
    assert capsys.readouterr().out.startswith(said)


def test_two_processes_are_one_with_the_doubled_batch(data: Path, tmp_path: Path) -> None:
    one = experiment(tmp_path, batch=8, ema=0.0, matching=10.0, steps=3)
    assert run(*command(one, data, tmp_path / 'one')).returncode == 0
    two = experiment(tmp_path, batch=4, ema=0.0, matching=10.0, steps=3)

    result = run(
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
    on = experiment(tmp_path, batch=8, ema=0.0, matching=10.0, steps=4)
    resumed = run(*command(on, data, tmp_path / 'two', '--resume'))
    assert resumed.returncode == 0, resumed.stderr
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
    output = capsys.readouterr()
    assert '6: PSNR (Y) pairs' in output.out
    assert 'supervised=' in output.err and 'match=' in output.err


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

    monkeypatch.setattr(checkpoints, 'write_atomically', write)
    scores = iter([30.0, 20.0])
    monkeypatch.setattr(training, 'validate', lambda *_: next(scores))
    train(config, data, tmp_path / 'out', resume=False)

    assert 'not saved ([Errno 28] No space left on device)' in capsys.readouterr().out
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

    result = run(*command(tmp_path / 'quick.yaml', tmp_path, tmp_path / 'out'))

    assert result.returncode == 0, result.stderr
    assert '2: PSNR (Y) rain_light' in result.stdout
    load_network(tmp_path / 'out' / 'best.safetensors')


def test_error_in_the_data_ends_the_command(data: Path, tmp_path: Path) -> None:
    path = experiment(tmp_path, real={'folders': ['nowhere']})

    result = run(*command(path, data, tmp_path / 'out'))

    assert result.returncode == 2
    assert result.stderr.startswith(f'error: {data / "nowhere"}: no such folder')
    assert not (tmp_path / 'out').exists()
