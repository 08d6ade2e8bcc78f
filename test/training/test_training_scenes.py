"""What is scored, and where its truth comes from."""

from pathlib import Path

import numpy as np
from PIL import Image
import pytest

from derain_ros.errors import DataError
from training.data.scenes import read_scenes
from training.scores.evaluation import evaluate, summarize
from training.scores.metrics import rain_energy_removed


@pytest.mark.parametrize('truth', ['none', 'pairs'])
def test_images_whose_results_would_be_one_are_named(
    truth: str, tmp_path: Path, street: np.ndarray
) -> None:
    for suffix in ('png', 'jpg'):
        Image.fromarray(street[:, :140]).save(tmp_path / f'1.{suffix}')

    with pytest.raises(DataError, match=r'two images are called \S*1 but for the suffix, and '):
        read_scenes(tmp_path, truth)


def test_rain_free_images_are_their_own_truth(tmp_path: Path, street: np.ndarray) -> None:
    Image.fromarray(np.minimum(street, 240)).save(tmp_path / '1.png')
    scenes = read_scenes(tmp_path, 'itself')

    rows = [row for _, _, row in evaluate(lambda image: image + np.uint8(3), scenes)]

    assert summarize(rows)['mean']['psnr_rgb'] == pytest.approx(20 * np.log10(255 / 3))


def test_still_camera_is_scored_against_its_median(tmp_path: Path, street: np.ndarray) -> None:
    (tmp_path / 'still').mkdir()
    for index in range(5):
        frame = np.clip(street, 0, 200)
        frame[10 * index : 10 * index + 10] += np.uint8(50)  # each drop in one frame only
        Image.fromarray(frame).save(tmp_path / 'still' / f'{index}.png')

    scenes = read_scenes(tmp_path / 'still', 'median')

    assert all((scene.truth == np.clip(street, 0, 200)).all() for scene in scenes)


def test_rain_energy_is_relative_to_the_detail_of_the_image(street: np.ndarray) -> None:
    flat = np.full_like(street, 90)

    assert rain_energy_removed(street, street) == 0.0
    assert rain_energy_removed(flat, flat + np.uint8(5)) == 0.0
    less, more = (np.clip(street.astype(int) - by, 0, 255).astype(np.uint8) for by in (10, 20))
    assert rain_energy_removed(street, less) < rain_energy_removed(street, more)
