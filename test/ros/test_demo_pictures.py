"""What the demo makes of what came back: pictures, and scores where the truth is known."""

import cv2
from helpers.disk import small_disk
import numpy as np
from pictures import write_sheet, write_video
import pytest
from skimage.metrics import peak_signal_noise_ratio
from sources import CLIP_RAIN, Shot, Source

from demo import run
from training.data.rain import add_rain, streak_layer


@pytest.mark.parametrize(
    'write, name',
    [
        (lambda rows, path: write_sheet(rows, path), 'sheet.png'),
        (lambda rows, path: write_video(rows, 10.0, path), 'demo.mp4'),
    ],
)
def test_pictures_that_a_full_disk_cuts_short_are_not_kept(tmp_path, street, write, name):
    with small_disk(), pytest.raises(OSError):
        write([(street, street)] * 4, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_four_images_are_all_on_the_sheet(ros, tmp_path, street):
    photos = [Shot(street[:64, column : column + 64]) for column in range(4)]
    run(Source('photos', None, 4, lambda: iter(photos)), tmp_path / 'out')
    sheet = cv2.imread(str(tmp_path / 'out' / 'before_after.png'))
    assert sheet.shape == (4 * 64, 2 * 64, 3)
    for row, photo in enumerate(photos):
        assert np.array_equal(sheet[row * 64 : row * 64 + 64, :64], photo.image)


def test_a_clean_source_is_scored_before_and_after(ros, tmp_path, street):
    clean = street[:92, :140]
    rainy = add_rain(clean, streak_layer(92, 140, CLIP_RAIN, np.random.default_rng(0)))
    source = Source('street', 5.0, 4, lambda: iter([Shot(rainy, clean)] * 4))

    result, damage = run(source, tmp_path / 'out')

    assert (result['frames_lost'], damage) == (0, '')
    assert result['psnr_before'] == pytest.approx(
        peak_signal_noise_ratio(clean, rainy, data_range=255), abs=0.01
    )
    assert result['psnr_after'] > result['psnr_before']
