"""Steps of a GPU against those of a CPU; where there is no GPU its code runs on the CPU."""

from dataclasses import replace
from pathlib import Path
import time

from helpers.training import assert_equal, train_in_halves, weights
import pytest
from safetensors.torch import load
import torch

from training.configuration import Config
from training.data.batches import Batch, Crops
from training.data.dataset import Data, read_data
from training.data.device.batches import DeviceCrops
from training.errors import RunError
from training.loop.batched_muon import BatchedMuon, orthogonal_batch
from training.loop.clock import Clock
from training.loop.device_run import DeviceRun
from training.loop.optimizer import Muon, orthogonal
from training.loop.run import Run
import training.train as training

CPU = torch.device('cpu')
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA')


@pytest.fixture(params=['cpu', pytest.param('cuda', marks=needs_cuda)])
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> torch.device:
    monkeypatch.setattr(torch.backends.cudnn, 'allow_tf32', False)
    return torch.device(request.param)


@pytest.fixture
def read(config: Config, data: Path) -> Data:
    return read_data(config, data)


def cpu_batches(config: Config, data: Data, count: int) -> list[Batch]:
    crops = Crops(data.sources, data.real, seed=1, batch=config.batch, size=config.crop)
    return [crops[step] for step in range(count)]


@pytest.mark.parametrize('optimizer', ['adam', 'muon'])
def test_steps_and_averages_are_those_of_the_cpu(config, read, device, optimizer):
    config = replace(config, optimizer=optimizer, steps=8)
    run, device_run = Run(config, CPU), DeviceRun(config, device)
    for batch in cpu_batches(config, read, 8):
        expected, losses = run.learn(batch), device_run.learn(batch)
        torch.testing.assert_close(losses.cpu(), expected, rtol=1e-3, atol=1e-5)
    for name, weight in load(run.weights()).items():
        found = load(device_run.weights())[name]
        torch.testing.assert_close(found, weight, rtol=1e-3, atol=2e-5)


def test_the_loss_falls(config, read, device):
    config = replace(config, steps=40, matching=0.0, batch=8, learning_rate=5e-3)
    run, crops = DeviceRun(config, device), DeviceCrops(read, device, config)
    losses = torch.stack([run.learn(crops[step])[0] for step in range(40)])
    assert losses[-10:].mean() < 0.9 * losses[:10].mean()


def test_a_resumed_run_goes_on_as_if_it_had_not_been_stopped(config, read, device, tmp_path):
    def train(run: DeviceRun, until: int) -> DeviceRun:
        crops = DeviceCrops(read, device, config)
        while run.step < until:
            run.learn(crops[run.step])
        return run

    whole = train(DeviceRun(config, device), 6)
    (tmp_path / 'checkpoint.pt').write_bytes(train(DeviceRun(config, device), 3).checkpoint())
    halves = train(DeviceRun(config, device, tmp_path / 'checkpoint.pt'), 6)
    if device == CPU:
        assert_equal(load(halves.weights()), load(whole.weights()))
    for name, weight in load(whole.weights()).items():
        torch.testing.assert_close(load(halves.weights())[name], weight, rtol=1e-2, atol=1e-4)


@pytest.mark.usefixtures('one_thread_here')
def test_the_command_trains_and_resumes_on_what_it_cuts_on_the_device(
    config, data, tmp_path, monkeypatch
):
    monkeypatch.setattr(training, 'Run', DeviceRun)  # which it takes where there is a GPU
    monkeypatch.setattr(training, 'Crops', None)
    training.train(config, data, tmp_path / 'whole', resume=False)
    assert train_in_halves(config, data, tmp_path / 'halves', monkeypatch)[-1] == 5
    assert_equal(weights(tmp_path / 'halves'), weights(tmp_path / 'whole'))


@pytest.mark.parametrize('kinds', [(Run, DeviceRun), (DeviceRun, Run)])
def test_each_goes_on_from_the_others_checkpoint(config, read, device, tmp_path, kinds):
    steps = cpu_batches(config, read, 4)
    runs = [kind(config, CPU if kind is Run else device) for kind in (kinds[0], Run)]
    for batch in steps[:2]:
        for run in runs:
            run.learn(batch)
    (tmp_path / 'checkpoint.pt').write_bytes(runs[0].checkpoint())
    second = CPU if kinds[1] is Run else device
    runs[0] = kinds[1](config, second, tmp_path / 'checkpoint.pt')
    for batch in steps[2:]:
        losses, expected = (run.learn(batch).cpu() for run in runs)
        torch.testing.assert_close(losses, expected, rtol=1e-3, atol=1e-5)


def test_a_step_whose_loss_is_not_finite_changes_nothing_and_is_counted(config, read, device):
    run, (batch, *_) = DeviceRun(config, device), cpu_batches(config, read, 1)
    broken = batch._replace(rainy=batch.rainy.clone().index_fill_(2, torch.tensor([3]), torch.nan))
    run.learn(batch)
    # in bytes, because nan is not equal to itself
    before = [bytes(run.weights()), [weight.clone() for weight in run.network.parameters()]]
    states = [optimizer.state_dict()['state'] for optimizer in run.optimizers.values()]
    kept = [
        {name: value.clone() for name, value in state.items()}
        for states_of in states
        for state in states_of.values()
    ]
    run.learn(broken)
    assert bytes(run.weights()) == before[0]
    assert all(map(torch.equal, run.network.parameters(), before[1]))
    after = [state for states_of in states for state in states_of.values()]
    for state, old in zip(after, kept, strict=True):
        assert all(torch.equal(state[name], value) for name, value in old.items())
    run.learn(batch)
    run.settle()
    assert (run.step, run.skipped, run.skipped_in_a_row) == (3, 1, 0)


def test_many_in_a_row_end_the_run(config, read, device):
    run, (batch, *_) = DeviceRun(config, device), cpu_batches(config, read, 1)
    broken = batch._replace(rainy=batch.rainy * torch.nan)
    with pytest.raises(RunError, match='the loss was not finite 10 times in a row'):
        for _ in range(20):
            run.learn(broken)


@pytest.mark.parametrize('shape', [(5, 8, 24), (3, 24, 8), (2, 8, 8)])
def test_matrices_made_orthogonal_together_are_those_made_one_by_one(shape):
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    expected = torch.stack([orthogonal(matrix) for matrix in matrices])
    torch.testing.assert_close(orthogonal_batch(matrices), expected, rtol=1e-4, atol=1e-5)


def test_batched_muon_moves_weights_of_all_shapes_as_muon_does():
    generator = torch.Generator().manual_seed(0)
    shapes = [(8, 8, 3, 3), (8, 16, 1, 1), (8, 8, 3, 3)]
    start = [torch.randn(shape, generator=generator) for shape in shapes]
    gradients = [[torch.randn(shape, generator=generator) for shape in shapes] for _ in range(3)]
    results = []
    for kind in (Muon, BatchedMuon):
        weights = [weight.clone().requires_grad_() for weight in start]
        optimizer = kind(weights, 0.01, 0.1)
        for step in gradients:
            for weight, gradient in zip(weights, step):
                weight.grad = gradient.clone()
            optimizer.step()
        results.append([weight.detach() for weight in weights])
    for one, other in zip(*results):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_a_run_with_a_clock_ends_in_time_at_the_end_of_its_schedule(config, read, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, 'monotonic', lambda: now[0])
    run, (batch, *_) = Run(replace(config, steps=10**6), CPU), cpu_batches(config, read, 1)
    clock = Clock(minutes=1.0)
    while run.step < run.config.steps:
        run.learn(batch)
        now[0] += 1.5  # a step of a slow machine
        clock.fit(run)
    assert 50 <= now[0] <= 60
    assert run.config.steps == run.step


def test_a_clock_asks_for_no_more_steps_than_the_experiment(config, read, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, 'monotonic', lambda: now[0])
    run, (batch, *_) = Run(replace(config, steps=45), CPU), cpu_batches(config, read, 1)
    clock = Clock(minutes=10.0)
    while run.step < run.config.steps:
        run.learn(batch)
        now[0] += 0.01
        clock.fit(run)
    assert run.step == 45
