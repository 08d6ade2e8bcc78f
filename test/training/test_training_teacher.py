"""The mean teacher: real rain becomes pairs where its copies agree."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from helpers.training import assert_equal, experiment, weights
import pytest
import torch
from torch import nn, Tensor

from training.configuration import Config, read_config
from training.data.batches import Batch
from training.loop.run import Run
from training.loop.teacher import taught_pairs
from training.train import train

pytestmark = pytest.mark.usefixtures('one_thread')
CPU = torch.device('cpu')


class Teacher(nn.Module):
    """De-rains with a function."""

    def __init__(self, derain: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.forward = derain


@pytest.fixture
def crops() -> Tensor:
    return torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def taught(tmp_path: Path, data: Path) -> Config:
    """Return an experiment on from weights of another."""
    first = read_config(experiment(tmp_path, matching=0.0))
    train(first, data, tmp_path / 'first', resume=False)
    start = str(tmp_path / 'first' / 'last.safetensors')
    return read_config(experiment(tmp_path, matching=0.0, teacher=0.5, start=start))


def batch_of(config: Config, real: Tensor | None) -> Batch:
    images = torch.rand(2, 4, 3, config.crop, config.crop, generator=torch.manual_seed(0))
    return Batch(images[0], images[1], real)


def test_what_copies_agree_on_is_taken_for_the_truth(crops: Tensor) -> None:
    rainy, clean = taught_pairs(Teacher(lambda images: 0.5 * images), crops)

    assert torch.equal(rainy, crops)
    torch.testing.assert_close(clean, 0.5 * crops)


def test_nothing_is_learnt_where_the_teacher_does_not_know(crops: Tensor) -> None:
    def darken_the_left(images: Tensor) -> Tensor:
        outputs = images.clone()
        outputs[..., :4] *= 0.5
        return outputs

    rainy, clean = taught_pairs(Teacher(darken_the_left), crops)

    # of the mirrored copy the right is darkened; one that was moved is so one column less
    assert torch.equal(rainy[..., :4], clean[..., :4])
    assert torch.equal(rainy[..., -4:], clean[..., -4:])
    assert torch.equal(rainy[..., 4:-4], crops[..., 4:-4])


@pytest.mark.parametrize('weak', [1.0, 254.0])
def test_disagreement_is_measured_in_grey_levels(crops: Tensor, weak: float) -> None:
    # a shift that the dimmed copy has stronger: by 1 / 0.85 - 1, of which two thirds to the mean
    shift = weak / 255
    images = 0.5 * crops + 0.3

    rainy, clean = taught_pairs(Teacher(lambda images: images - 0.2 * shift), images)

    agreed = (rainy - clean).abs().amax() > 0
    assert agreed == (0.2 * weak * (1 / 0.85 - 1) * 2 / 3 <= 2)


def test_labels_are_images_and_carry_no_gradient(crops: Tensor) -> None:
    crops.requires_grad_()

    rainy, clean = taught_pairs(Teacher(lambda images: 3 * images - 1), crops)

    assert not clean.requires_grad
    assert clean.min() >= 0 and clean.max() <= 1
    assert rainy.shape == clean.shape == crops.shape


def test_the_teacher_is_the_average_and_is_not_moved_by_its_pairs(
    taught: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, seen = Run(taught, CPU), []

    def noted(teacher: nn.Module, real: Tensor) -> tuple[Tensor, Tensor]:
        seen.append((teacher, len(real)))
        return taught_pairs(teacher, real)

    monkeypatch.setattr('training.loop.run.taught_pairs', noted)
    run.learn(batch_of(taught, torch.rand(4, 3, 16, 16)))

    # a share of 0.5 of four real crops
    assert seen == [(run.average.module, 2)]
    assert all(parameter.grad is None for parameter in run.average.parameters())


def test_real_rain_moves_the_weights_only_with_a_teacher(taught: Config) -> None:
    def after_a_step(teacher: float, real: Tensor | None) -> dict[str, Tensor]:
        run = Run(replace(taught, teacher=teacher), CPU)
        run.learn(batch_of(taught, real))
        return {name: value.clone() for name, value in run.network.state_dict().items()}

    real = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    without = after_a_step(0.0, None)

    assert_equal(after_a_step(0.0, real), without)
    assert any(
        not torch.equal(value, without[name]) for name, value in after_a_step(0.5, real).items()
    )


def test_matching_still_compares_synthetic_with_real_rain(taught: Config) -> None:
    real = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(1))

    matches = [
        Run(replace(taught, teacher=teacher, matching=1.0), CPU).learn(batch_of(taught, real))[1]
        for teacher in (0.0, 1.0)
    ]

    torch.testing.assert_close(*matches)


def test_a_taught_run_trains_and_resumes(taught: Config, data: Path, tmp_path: Path) -> None:
    train(taught, data, tmp_path / 'whole', resume=False)
    half = replace(taught, schedule='constant', steps=3)
    train(half, data, tmp_path / 'halves', resume=False)
    train(replace(half, steps=6), data, tmp_path / 'halves', resume=True)
    train(replace(half, steps=6), data, tmp_path / 'constant', resume=False)

    assert all(value.isfinite().all() for value in weights(tmp_path / 'whole').values())
    assert_equal(weights(tmp_path / 'halves'), weights(tmp_path / 'constant'))
