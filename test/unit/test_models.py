"""What the released weights promise in their model card, on images they were not trained on."""

from itertools import islice

from helpers.data import data_folder
import numpy as np
import pytest

from derain_ros.model.released import MODELS
from training.data.scenes import read_scenes
from training.evaluate_video import evaluate_video, frames
from training.scores.evaluation import evaluate, open_derainer, summarize

RELEASED = ['fast', 'fast-heavy', 'fast-light', 'reference-heavy', 'reference-light']


def test_there_is_one_small_file_of_each_released_model() -> None:
    sizes = {path.name: path.stat().st_size for path in MODELS.iterdir()}

    assert sizes.keys() - {'README.md'} == {'SHA256SUMS', *(f'{name}.onnx' for name in RELEASED)}
    # what CONTRIBUTING.md allows
    assert max(sizes.values()) < 5e6
    assert sum(sizes.values()) < 20e6


@pytest.mark.parametrize(
    'weights, name, least',
    [
        ('fast-light', 'rain_light', 38.1),
        ('fast-heavy', 'rain_heavy', 29.0),
        ('fast', 'rain_light', 35.8),
        ('fast', 'rain_heavy', 26.5),
        ('fast', 'rain_mixed', 30.2),
        ('reference-light', 'rain_light', 37.2),
        ('reference-heavy', 'rain_heavy', 27.8),
    ],
)
def test_held_out_pairs_score_what_the_card_says(weights: str, name: str, least: float) -> None:
    scenes = [
        scene for scene in read_scenes(data_folder(name), 'pairs') if 181 <= scene.number <= 200
    ]

    rows = [row for _, _, row in evaluate(open_derainer(weights), scenes)]

    assert summarize(rows)['mean']['psnr_y'] > least  # half a dB below the card


def test_real_rain_grows_less_in_a_video_that_was_not_trained_on() -> None:
    result = evaluate_video(open_derainer('fast'), frames(data_folder('video/rain_pan_real')))

    assert result['frames'] == 60
    assert result['frames_with_less'] >= 0.9
    assert result['streak_energy'] < 0.8


def test_a_dry_road_comes_out_as_it_went_in() -> None:
    video = data_folder('video/driving_clean.mp4')

    result = evaluate_video(open_derainer('fast'), islice(frames(video), 20))

    assert result['change'] < 0.2  # grey levels
    assert result['flicker'] <= 1.0


@pytest.mark.parametrize('top, bottom', [(255, 255), (0, 0), (255, 180), (120, 40)])
def test_sky_gets_no_stains(top: int, bottom: int) -> None:
    sky = np.linspace((top, top, top), (bottom, bottom, bottom), 180).round().astype(np.uint8)
    sky = np.repeat(sky[:, None], 320, axis=1)

    output = open_derainer('fast')(sky)

    assert np.abs(output.astype(int) - sky).max() <= 2


@pytest.mark.parametrize('upright', [True, False])
def test_white_beside_black_gets_no_stains(upright: bool) -> None:
    pole = np.full((192, 256, 3), 255, np.uint8)
    pole[:, :64] = pole[:, 160:170] = 0
    picture = pole if upright else np.ascontiguousarray(pole.transpose(1, 0, 2))

    output = open_derainer('fast')(picture)

    assert np.abs(output.astype(int) - picture).max() <= 6
