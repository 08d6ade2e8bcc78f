"""What the demo makes of what came back: pictures, and scores where the truth is known."""

import re

import cv2
from helpers.disk import small_disk
import numpy as np
from pictures import write_video
import pytest
from skimage.metrics import peak_signal_noise_ratio
from sources import CLIP_RAIN, Shot, Source

from demo import run
from training.data.rain import add_rain, streak_layer


def test_a_video_that_a_full_disk_cuts_short_is_not_kept(tmp_path, street):
    with small_disk(), pytest.raises(OSError):
        write_video([(street, street)] * 4, 10.0, tmp_path / 'demo.mp4')
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('size', [(1, 1), (93, 141), (1080, 1920), (2000, 16)])
def test_pictures_of_any_size_are_a_video(tmp_path, size):
    picture = np.zeros((*size, 3), np.uint8)
    write_video([(picture, picture)] * 3, 10.0, tmp_path / 'demo.mp4')
    video = cv2.VideoCapture(str(tmp_path / 'demo.mp4'))
    assert (video.get(cv2.CAP_PROP_FRAME_COUNT), video.get(cv2.CAP_PROP_FPS)) == (3, 10)


def test_four_images_are_all_on_the_page(ros, tmp_path, street):
    photos = [Shot(street[:64, column : column + 64]) for column in range(4)]
    run(Source('photos', None, 4, lambda: iter(photos)), tmp_path / 'out')
    for index, photo in enumerate(photos):
        before = cv2.imread(str(tmp_path / 'out' / f'{index:04}_before.jpg'))
        assert np.abs(before.astype(int) - photo.image).mean() < 10
    page = (tmp_path / 'out' / 'index.html').read_text()
    assert re.findall(r'photos, frame (\d)<', page) == ['1', '2', '3', '4']


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
