"""The losses against matrices worked out by hand."""

import math

import numpy as np
import pytest
from skimage.metrics import structural_similarity
import torch
from torch import Tensor

from training.loop.losses import charbonnier, matching, psnr_loss, statistics, supervised
from training.scores.similarity import ssim


def pixels(*samples: tuple[float, ...]) -> Tensor:
    """Return features [1, d, 1, pixels] of the given samples of d channels."""
    return torch.tensor(samples).T[None, :, None, :].clone().requires_grad_()


# means (2, 1) and (1, 1); covariances [[4, 2], [2, 1]] and [[1, -1], [-1, 1]], divided by 3 - 1
SYNTHETIC = pixels((0.0, 0.0), (2.0, 1.0), (4.0, 2.0))
REAL = pixels((0.0, 2.0), (1.0, 1.0), (2.0, 0.0))


def test_mean_and_covariance_worked_out_by_hand() -> None:
    mean, covariance = statistics(SYNTHETIC)

    torch.testing.assert_close(mean, torch.tensor([2.0, 1.0]))
    torch.testing.assert_close(covariance, torch.tensor([[4.0, 2.0], [2.0, 1.0]]))


def test_all_pixels_of_the_batch_are_samples() -> None:
    features = torch.from_numpy(np.random.default_rng(0).normal(size=(3, 4, 5, 6)))
    samples = features.permute(1, 0, 2, 3).reshape(4, -1).numpy()

    mean, covariance = statistics(features)

    np.testing.assert_allclose(mean, samples.mean(axis=1), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(covariance, np.cov(samples), rtol=1e-5, atol=1e-6)


def test_matching_adds_the_mean_and_the_covariance_over_d() -> None:
    l_mean = 1.0  # ‖(2, 1) - (1, 1)‖
    l_covariance = math.sqrt(3**2 + 3**2 + 3**2) / 2  # ‖[[3, 3], [3, 0]]‖ / d

    assert matching(SYNTHETIC, REAL).item() == pytest.approx(l_mean + l_covariance, rel=1e-6)


def test_normalised_matching_measures_in_standard_deviations() -> None:
    variances = np.array([(4 + 1) / 2, (1 + 1) / 2])
    l_mean = 1.0 / math.sqrt(2.5)
    differences = np.array([[3.0, 3.0], [3.0, 0.0]]) / np.sqrt(np.outer(variances, variances))
    expected = l_mean + np.linalg.norm(differences) / 2

    assert matching(SYNTHETIC, REAL, normalise=True).item() == pytest.approx(expected, rel=1e-6)


def test_normalised_matching_cannot_be_made_small_by_small_features() -> None:
    loss = matching(SYNTHETIC, REAL, normalise=True)

    assert matching(SYNTHETIC / 100, REAL / 100).item() < 0.02
    torch.testing.assert_close(
        matching(SYNTHETIC / 100, REAL / 100, normalise=True), loss, rtol=1e-3, atol=0
    )


def test_matching_takes_batches_of_different_sizes() -> None:
    generator = torch.Generator().manual_seed(0)
    few, many = (torch.randn(count, 2, 32, 32, generator=generator) for count in (4, 40))

    assert matching(few, many).item() < 0.1
    assert matching(few, many + 3).item() == pytest.approx(3 * math.sqrt(2), abs=0.1)


@pytest.mark.parametrize('normalise', [False, True])
@pytest.mark.parametrize('other', [SYNTHETIC, pixels(*[(5.0, 5.0)] * 3)])
def test_gradients_are_finite_where_batches_are_equal_or_constant(
    other: Tensor, normalise: bool
) -> None:
    features = other.detach().clone().requires_grad_()

    matching(features, other.detach(), normalise).backward()

    assert torch.equal(features.grad, torch.zeros_like(features))


def test_gradient_is_that_of_finite_differences() -> None:
    def loss(features: Tensor) -> Tensor:
        return matching(features, REAL.detach())

    step = 1e-2
    features = SYNTHETIC.detach().clone().requires_grad_()
    loss(features).backward()
    moved = torch.zeros_like(features)
    moved[0, 1, 0, 2] = step
    slope = (loss(features + moved) - loss(features - moved)).item() / (2 * step)

    assert features.grad[0, 1, 0, 2].item() == pytest.approx(slope, rel=1e-2)


def test_matching_is_computed_in_float32_under_autocast() -> None:
    generator = torch.Generator().manual_seed(0)
    near, far = (100 + torch.randn((2, 8, 16, 16), generator=generator) for _ in range(2))
    expected = matching(near, far)

    with torch.autocast('cpu', torch.bfloat16):
        loss = matching(near, far)

    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)


def test_matching_takes_features_in_bfloat16_as_the_numbers_that_they_are() -> None:
    generator = torch.Generator().manual_seed(0)
    near, far = (100 + torch.randn((2, 8, 16, 16), generator=generator) for _ in range(2))
    near, far = near.bfloat16(), far.bfloat16()

    assert matching(near, far).item() == matching(near.float(), far.float()).item()


@pytest.fixture
def images() -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(3)
    target = rng.random((1, 3, 24, 20))
    return torch.from_numpy(
        np.clip(target + rng.normal(0, 0.1, target.shape), 0, 1)
    ), torch.from_numpy(target)


def test_ssim_is_scikit_images(images: tuple[Tensor, Tensor]) -> None:
    output, target = images

    expected = structural_similarity(
        output[0].numpy(),
        target[0].numpy(),
        channel_axis=0,
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )

    assert ssim(output, target).item() == pytest.approx(expected, abs=1e-9)


def test_psnr_loss_counts_every_image_alike_whatever_its_error() -> None:
    clean = torch.full((2, 3, 16, 16), 0.5)
    output = clean.clone()
    output[0] += 0.1  # 20 dB
    output[1] += math.sqrt(0.001)  # 30 dB

    assert psnr_loss(output, clean).item() == pytest.approx((50 - (20 + 30) / 2) / 200, abs=2e-4)


def test_psnr_loss_has_a_gradient_of_zero_at_the_truth() -> None:
    clean = torch.full((1, 3, 16, 16), 0.5)
    output = clean.clone().requires_grad_()

    loss = psnr_loss(output, clean)
    loss.backward()

    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert output.grad.abs().max() == 0


def test_charbonnier_is_a_smooth_l1() -> None:
    output = torch.tensor([0.0, 0.3], requires_grad=True)

    loss = charbonnier(output, torch.tensor([0.0, 0.7]))
    loss.backward()

    assert loss.item() == pytest.approx((0.001 + math.sqrt(0.16 + 1e-6)) / 2)
    assert output.grad[0].item() == 0.0


def test_supervised_term_is_the_sum_of_those_named(images: tuple[Tensor, Tensor]) -> None:
    output, target = images
    parts = [supervised(term, output, target) for term in ('ssim', 'l1', 'charbonnier', 'psnr')]

    assert parts[0].item() == pytest.approx(1 - ssim(output, target).item())
    assert parts[1].item() == pytest.approx((output - target).abs().mean().item())
    torch.testing.assert_close(supervised('ssim+charbonnier', output, target), parts[0] + parts[2])
