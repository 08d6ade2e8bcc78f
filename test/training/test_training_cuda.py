"""Training on a GPU: its graph, the whole command, resuming, and several processes over NCCL."""

from dataclasses import replace
import os
from pathlib import Path
import subprocess
import sys

from helpers.data import ROOT
from helpers.training import command, experiment, weights
import pytest
from safetensors.torch import load
import torch

from training.configuration import Config, read_config
from training.data.batches import Crops
from training.data.dataset import read_data
from training.loop.device_run import DeviceRun, WARM_UP_STEPS
from training.train import train

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA')
CUDA = torch.device('cuda', 0)
TORCHRUN = [
    *(sys.executable, '-m', 'torch.distributed.run'),
    *('--nproc-per-node', '1', '--standalone'),
]


@pytest.mark.parametrize('precision', ['float32', 'bf16'])
def test_steps_of_the_recorded_graph_are_those_taken_one_by_one(
    config: Config, data: Path, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cudnn, 'allow_tf32', False)
    config, read = replace(config, precision=precision), read_data(config, data)
    crops = Crops(read.sources, read.real, seed=1, batch=config.batch, size=config.crop)
    runs = [DeviceRun(config, CUDA, graph=graph) for graph in (True, False)]
    for step in range(WARM_UP_STEPS + 8):
        losses = [run.learn(crops[step]).cpu() for run in runs]
        torch.testing.assert_close(*losses, rtol=2e-2, atol=1e-3)
    assert runs[0].records_graph and not runs[1].records_graph
    for name, weight in load(runs[0].weights()).items():
        torch.testing.assert_close(load(runs[1].weights())[name], weight, rtol=2e-2, atol=2e-3)


def test_no_step_of_the_recorded_graph_waits_for_the_gpu(config: Config, data: Path) -> None:
    read = read_data(config, data)
    crops = Crops(read.sources, read.real, seed=1, batch=config.batch, size=config.crop)
    run, batch = DeviceRun(config, CUDA), crops[0]
    batch = batch._replace(
        rainy=batch.rainy.cuda(), clean=batch.clean.cuda(), real=batch.real.cuda()
    )
    for _ in range(WARM_UP_STEPS + 1):
        run.learn(batch)
    torch.cuda.set_sync_debug_mode('error')
    try:
        run.learn(batch)
    finally:
        torch.cuda.set_sync_debug_mode('default')


@pytest.mark.parametrize('precision', ['float32', 'bf16', 'fp16'])
def test_the_command_trains_and_goes_on_where_it_was(
    data: Path, tmp_path: Path, precision: str
) -> None:
    path = experiment(tmp_path, precision=precision, steps=9)
    config = read_config(path)
    train(replace(config, steps=6), data, tmp_path / 'run', resume=False)
    train(config, data, tmp_path / 'run', resume=True)
    assert torch.load(tmp_path / 'run' / 'checkpoint.pt', weights_only=True)['step'] == 9
    assert all(weight.isfinite().all() for weight in weights(tmp_path / 'run').values())


def test_one_process_over_nccl_learns_what_one_without_does(data: Path, tmp_path: Path) -> None:
    path = experiment(tmp_path)
    train(read_config(path), data, tmp_path / 'alone', resume=False)
    done = subprocess.run(
        [*TORCHRUN, *command(path, data, tmp_path / 'nccl')],
        cwd=ROOT,
        env=os.environ | {'OMP_NUM_THREADS': '1'},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    alone, nccl = weights(tmp_path / 'alone'), weights(tmp_path / 'nccl')
    for name, weight in alone.items():
        torch.testing.assert_close(nccl[name], weight, rtol=2e-2, atol=1e-3)
