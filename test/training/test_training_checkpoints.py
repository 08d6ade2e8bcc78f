"""Checkpoints and weights that are damaged: one error, with the way out."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from helpers.training import experiment
import pytest
from safetensors.torch import save_file
import torch

from derain_ros.model.export import load_network
from derain_ros.model.network import SHAPES
from derain_ros.model.released import MODELS
from training.configuration import Config, read_config
from training.errors import RunError
from training.loop.checkpoints import start_network
from training.loop.run import Run
from training.train import train

pytestmark = pytest.mark.usefixtures('one_thread')
CPU = torch.device('cpu')
WEIGHT = 'network.image_conversion.bias'


@pytest.fixture(scope='module')
def kept(
    tmp_path_factory: pytest.TempPathFactory, data: Path, one_thread: None
) -> tuple[Path, Config]:
    """Return a checkpoint of a run that has taken steps, and its experiment."""
    folder = tmp_path_factory.mktemp('run')
    config = read_config(experiment(folder, steps=1, validate_every=100))
    train(config, data, folder / 'out', resume=False)
    return folder / 'out' / 'checkpoint.pt', config


def without(*path: str) -> Callable[[dict], None]:
    def change(state: dict) -> None:
        *parents, last = path
        for name in parents:
            state = state[name]
        del state[last]

    return change


def with_value(value: Any, *path: str) -> Callable[[dict], None]:
    def change(state: dict) -> None:
        *parents, last = path
        for name in parents:
            state = state[name]
        state[last] = value

    return change


def moments(**changes: torch.Tensor | None) -> Callable[[dict], None]:
    """Change, or leave out, what Adam knows of its first weight."""

    def change(state: dict) -> None:
        of_weight = state['adam']['state'][0]
        for name, value in changes.items():
            if value is None:
                del of_weight[name]
            else:
                of_weight[name] = value

    return change


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        *[
            (without(name), f"misses '{name}'")
            for name in ('network', 'average', 'adam', 'muon', 'step', 'best', 'config', 'crops')
        ],
        (without('network', 'image_conversion.bias'), 'image_conversion.bias'),
        (with_value(torch.zeros(5), 'network', 'image_conversion.bias'), 'size mismatch'),
        (with_value(torch.zeros(5), 'average', 'module.image_conversion.bias'), 'size mismatch'),
        (with_value('many', 'step'), 'not supported between'),
        (with_value(-5, 'step'), 'a count is below zero'),
        (with_value(None, 'best'), 'NoneType'),
        (with_value(None, 'network'), 'NoneType'),
        (with_value({}, 'average'), 'image_conversion.bias'),
        (with_value({}, 'adam', 'state'), 'an optimizer misses exp_avg, exp_avg_sq, step'),
        (with_value([], 'config'), 'must be a mapping of keys to values'),
        (without('config', 'seed'), 'missing key: seed'),
        (without('adam', 'param_groups'), 'param_groups'),
        (moments(exp_avg=torch.zeros(5)), r'exp_avg of an optimizer has the shape \[5\]'),
        (moments(exp_avg_sq=None), 'an optimizer misses exp_avg_sq'),
    ],
)
def test_a_checkpoint_that_is_not_whole_is_named(
    change: Callable[[dict], None], reason: str, kept: tuple[Path, Config], tmp_path: Path
) -> None:
    checkpoint, config = kept
    state = torch.load(checkpoint)
    change(state)
    torch.save(state, tmp_path / 'checkpoint.pt')

    said = (
        rf'^.*checkpoint\.pt: .*{reason}.*; train into another --out, with last\.safetensors .*$'
    )
    with pytest.raises(RunError, match=said) as raised:
        Run(config, CPU, tmp_path / 'checkpoint.pt')
    assert '\n' not in str(raised.value)


def test_what_is_no_checkpoint_is_named(kept: tuple[Path, Config], tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / 'checkpoint.pt')

    with pytest.raises(RunError, match=r'checkpoint\.pt: cut short, or no checkpoint; train into'):
        Run(kept[1], CPU, tmp_path / 'checkpoint.pt')


def test_checkpoints_from_before_a_key_was_added_can_be_gone_on_from(
    kept: tuple[Path, Config], tmp_path: Path
) -> None:
    checkpoint, config = kept
    state = torch.load(checkpoint)
    state['config']['pairs'] = {'pairs': 0.5}  # shares were all that was said of pairs
    del state['config']['flips']
    torch.save(state, tmp_path / 'checkpoint.pt')

    assert Run(config, CPU, tmp_path / 'checkpoint.pt').step == 1


@pytest.mark.parametrize(
    'change',
    [without('image_conversion.bias'), with_value(torch.zeros(5), 'image_conversion.bias')],
    ids=['missing', 'shape'],
)
def test_weights_to_start_from_that_are_not_whole_are_named(
    change: Callable[[dict], None], config: Config, tmp_path: Path
) -> None:
    state = load_network(MODELS / 'fast.onnx').state_dict()
    change(state)
    path = tmp_path / 'broken.safetensors'
    save_file(state, path, {'shape': SHAPES['fast'].to_json()})

    with pytest.raises(RunError, match=r'start: .*broken\.safetensors: does not fit') as raised:
        start_network(replace(config, start=str(path)))
    assert 'image_conversion.bias' in str(raised.value)
    assert '\n' not in str(raised.value)
