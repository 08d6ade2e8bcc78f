"""The scorer against scikit-image, and against values worked out by hand."""

import math

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from training.scores.metrics import luma, mean_scores, psnr, scores, ssim


@pytest.fixture
def noisy(street: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(1).integers(-9, 10, street.shape)
    return np.clip(street + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ('rgb', 'y'),
    [
        ((0, 0, 0), 16),
        ((255, 255, 255), 235),  # MATLAB's range
        ((255, 0, 0), 81),
        ((0, 255, 0), 145),
        ((0, 0, 255), 41),
        ((100, 150, 200), 137),
    ],
)  # 16 + 25.68 + 75.62 + 19.58 = 136.88
def test_luma_is_matlabs(rgb: tuple[int, int, int], y: int) -> None:
    assert luma(np.full((2, 3, 3), rgb, np.uint8)).tolist() == [[y] * 3] * 2


def test_psnr_worked_out_by_hand() -> None:
    black, grey = np.zeros((4, 4), np.uint8), np.full((4, 4), 51, np.uint8)

    assert psnr(black, grey) == pytest.approx(20 * math.log10(255 / 51))


def test_both_protocols_agree_with_scikit_image(street: np.ndarray, noisy: np.ndarray) -> None:
    like_matlab = {
        'data_range': 255,
        'gaussian_weights': True,
        'sigma': 1.5,
        'use_sample_covariance': False,
    }

    result = scores(noisy, street)

    assert result == pytest.approx(
        {
            'psnr_y': peak_signal_noise_ratio(luma(street), luma(noisy), data_range=255),
            'ssim_y': structural_similarity(luma(street), luma(noisy), **like_matlab),
            'psnr_rgb': peak_signal_noise_ratio(street, noisy, data_range=255),
            'ssim_rgb': structural_similarity(street, noisy, channel_axis=2, **like_matlab),
        },
        abs=1e-6,
    )


def test_identical_images_are_said_to_be_so(street: np.ndarray, noisy: np.ndarray) -> None:
    same, different = scores(street, street), scores(noisy, street)

    assert same == {
        'psnr_y': math.inf,
        'ssim_y': pytest.approx(1.0),
        'psnr_rgb': math.inf,
        'ssim_rgb': pytest.approx(1.0),
    }
    assert mean_scores([same, different])['psnr_y'] == different['psnr_y']
    assert mean_scores([same])['psnr_y'] is None


@pytest.mark.parametrize('score', [psnr, ssim])
def test_images_of_two_sizes_are_refused(score: object) -> None:
    with pytest.raises(ValueError, match=r'\(16, 16, 3\) against \(16, 17, 3\)'):
        score(np.zeros((16, 16, 3), np.uint8), np.zeros((16, 17, 3), np.uint8))
