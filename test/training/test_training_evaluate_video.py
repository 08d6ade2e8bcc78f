"""Scores without a truth, on videos whose rain is known because it was painted on."""

from collections.abc import Callable
import json
from pathlib import Path
import subprocess
import sys

import cv2
from helpers.data import ROOT
import numpy as np
from PIL import Image
import pytest

from derain_ros.errors import DataError
from derain_ros.files import write_json
from training.evaluate_video import evaluate_video, frames, streak_energy
from training.scores.evaluation import none_for_infinite

SCRIPT = ROOT / 'training' / 'evaluate_video.py'


def told(outputs: list[np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that returns these, whatever it gets."""
    images = iter(outputs)
    return lambda _: next(images)


@pytest.fixture
def rainy(street: np.ndarray) -> np.ndarray:
    """Paint bright streaks, three pixels wide, on a street."""
    image = street.copy()
    for column in range(10, image.shape[1], 40):
        cv2.line(image, (column, 0), (column + 5, image.shape[0]), (255, 255, 255), 3)
    return image


def test_streaks_have_energy_and_what_is_broad_or_lies_flat_has_none() -> None:
    image = np.zeros((40, 60, 3), np.uint8)
    image[10:13], image[:, 40:] = 200, 100
    assert streak_energy(image) == 0
    image[20:30, 10:13] = 255
    # luma of white minus that of black, in 30 of 2400 pixels
    assert streak_energy(image) == pytest.approx(219**2 * 30 / 2400)


def test_removing_rain_is_seen(street: np.ndarray, rainy: np.ndarray) -> None:
    result = evaluate_video(told([street, street, rainy]), iter([rainy] * 3))

    before, after = 3 * streak_energy(rainy), 2 * streak_energy(street) + streak_energy(rainy)
    assert after < before
    assert result['streak_energy'] == pytest.approx(after / before)
    assert (result['frames'], result['frames_with_less']) == (3, pytest.approx(2 / 3))


def test_doing_nothing_is_one_and_zero(street: np.ndarray) -> None:
    video = [street, np.roll(street, 3, axis=1)]

    assert evaluate_video(told(video), iter(video)) == {
        'frames': 2,
        'streak_energy': 1.0,
        'frames_with_less': 0.0,
        'flicker': 1.0,
        'change': 0.0,
    }


def test_flicker_is_what_the_output_adds_over_time(street: np.ndarray) -> None:
    video = [np.full_like(street, level) for level in (100, 110, 100)]
    doubled = [np.full_like(street, level) for level in (95, 115, 95)]

    result = evaluate_video(told(doubled), iter(video))

    assert (result['flicker'], result['change']) == (2.0, 5.0)


def test_what_is_added_to_a_still_and_plain_video_is_infinitely_more(tmp_path: Path) -> None:
    plain = np.full((32, 48, 3), 90, np.uint8)
    striped = plain.copy()
    striped[:, ::12] = 200

    result = evaluate_video(told([plain, striped, plain]), iter([plain] * 3))

    assert (result['flicker'], result['streak_energy']) == (np.inf, np.inf)
    write_json(tmp_path / 'video.json', none_for_infinite(result))
    assert json.loads((tmp_path / 'video.json').read_text())['flicker'] is None


def test_folders_are_videos_too(rainy: np.ndarray, tmp_path: Path) -> None:
    for index in range(3):
        Image.fromarray(np.roll(rainy, index, axis=0)).save(tmp_path / f'{index}.png')

    assert [frame.shape for frame in frames(tmp_path)] == [rainy.shape] * 3
    done = subprocess.run(
        [
            sys.executable,
            SCRIPT,
            '--weights',
            'fast',
            '--video',
            tmp_path,
            '--json',
            tmp_path / 'video.json',
        ],
        capture_output=True,
        text=True,
        check=True,
        cwd='/',
    )
    result = json.loads((tmp_path / 'video.json').read_text())
    assert result['frames_with_less'] == 1.0
    assert f'3 frames: streak energy {result["streak_energy"]:.3f}' in done.stdout


def write_video(path: Path, images: list[np.ndarray]) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 5, (64, 48))
    for image in images:
        writer.write(image[..., ::-1])
    writer.release()
    return path


def test_video_files_are_read_as_rgb(tmp_path: Path) -> None:
    orange = np.full((48, 64, 3), (200, 120, 40), np.uint8)

    video = list(frames(write_video(tmp_path / 'drive.avi', [orange, orange // 2])))

    assert len(video) == 2
    np.testing.assert_allclose(video[0].mean((0, 1)), (200, 120, 40), atol=4)
    np.testing.assert_allclose(video[1].mean((0, 1)), (100, 60, 20), atol=4)


def test_video_without_a_frame_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r'empty\.avi: not a video that can be read'):
        list(frames(write_video(tmp_path / 'empty.avi', [])))


def test_frames_of_several_sizes_are_named(tmp_path: Path, street: np.ndarray) -> None:
    for name, image in (('1', street), ('2', street[:50])):
        Image.fromarray(image).save(tmp_path / f'{name}.png')

    with pytest.raises(DataError, match=r'2\.png: 141x50, but the first is 141x93'):
        list(frames(tmp_path))


def test_what_is_no_video_is_named(tmp_path: Path) -> None:
    (tmp_path / 'broken.mp4').write_bytes(b'no video')
    done = subprocess.run(
        [sys.executable, SCRIPT, '--weights', 'fast', '--video', tmp_path / 'broken.mp4'],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert 'broken.mp4: not a video that can be read' in done.stderr
