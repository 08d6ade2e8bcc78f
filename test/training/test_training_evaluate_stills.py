"""The gate: what a network does to real rain, where the median over time is the truth."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
import json
from pathlib import Path
import sys

from helpers.data import data_folder
from helpers.stills import rain_before, scene, write_video
import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from derain_ros.errors import DataError
from training import evaluate_stills
from training.data.stills import make_still, Still
from training.evaluate_stills import main
from training.scores.evaluation import open_derainer
from training.scores.gate import read_clip, Result
from training.scores.metrics import luma
from training.scores.stills import score_still, still_table


@pytest.fixture(scope='module')
def still() -> Still:
    return make_still('yard', rain_before(scene(), 60))


def darker_by(levels: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda frame: frame - np.uint8(levels)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run the script with these arguments; returns its exit status."""

    def with_arguments(*arguments: object) -> int:
        monkeypatch.setattr(sys, 'argv', ['evaluate_stills.py', *map(str, arguments)])
        return main()

    return with_arguments


def test_doing_nothing_gains_nothing(still: Still) -> None:
    score = score_still(still, lambda frame: frame)

    expected = [
        peak_signal_noise_ratio(luma(scene()), luma(frame), data_range=255)
        for frame in still.frames
    ]
    assert score.before == pytest.approx(np.mean(expected))
    assert (score.gain, score.streaks, score.static) == (0.0, 1.0, 1.0)
    assert (score.elsewhere_before, score.elsewhere_after) == (0.0, 0.0)


def test_streaks_and_the_rest_are_told_apart(still: Still) -> None:
    score = score_still(still, darker_by(4))

    # 30 grey levels of RGB are 26 of luma (219 / 255), 4 are 3 or 4
    assert score.streaks == pytest.approx((26 - 3.4) ** 2 / 26**2, abs=0.03)
    assert score.elsewhere_before == 0.0
    assert 3**2 <= score.elsewhere_after <= 4**2


def test_only_static_pixels_count(still: Still) -> None:
    half = still.static.copy()
    half[:, 64:] = False

    def spoilt(frame: np.ndarray) -> np.ndarray:
        output = frame.copy()
        output[:, 64:] = 0
        return output

    score = score_still(replace(still, static=half), spoilt)

    assert (score.gain, score.static) == (0.0, 0.5)


def test_the_gate_names_what_is_worse_than_doing_nothing(still: Still) -> None:
    same = score_still(still, lambda frame: frame)
    hardly = replace(same, after=same.before - 0.09)
    worse = replace(same, after=same.before - 0.11)

    assert Result({'yard': same, 'lamps': hardly}, 0.05).problems() == []
    (problem,) = Result({'yard': same, 'lamps': worse}, None).problems()
    assert problem == 'lamps comes out -0.11 dB; -0.1 dB are allowed'
    (problem,) = Result({'yard': same}, 0.051).problems()
    assert problem == 'dry frames change by 0.051 grey levels; 0.05 are allowed'
    # nothing that cannot be told passes
    assert Result({'yard': replace(same, after=float('nan'))}, None).problems()
    assert Result({}, float('nan')).problems()


def test_several_cameras_make_one_table(still: Still) -> None:
    same = score_still(still, lambda frame: frame)
    table = still_table({'yard': same, 'lamps': replace(same, after=same.before + 2)})

    lines = table.splitlines()
    assert len(lines) == 5
    assert lines[2].startswith('| yard | 100% | inf | ')
    assert '| +2.00 |' in lines[3]
    assert '**+1.00**' in lines[4]


def test_a_clip_is_read_from_the_frame_after_the_at_sign(tmp_path: Path) -> None:
    frames = np.concatenate([rain_before(scene(1), 20), rain_before(scene(), 60)])
    path = write_video(tmp_path / 'two@once.mp4', frames)

    clip = read_clip(f'{path}@20')

    assert clip.name == 'two@once'
    assert np.abs(clip.median.astype(int) - scene()).mean() < 8  # MPEG-4; scene(1) differs by 40
    assert clip.static.mean() > 0.9
    with pytest.raises(DataError, match='has 59 frames from number 21 on'):
        read_clip(f'{path}@21')
    assert read_clip(str(path)).static.mean() < 0.9  # of two scenes


def filmed(folder: Path) -> tuple[Path, Path]:
    """Write a video of rain before a camera that stands still, and a dry one; return both."""
    clip = write_video(folder / 'yard.mp4', rain_before(scene(), 60))
    return clip, write_video(folder / 'dry.mp4', scene()[None].repeat(3, axis=0))


def test_weights_that_change_nothing_pass(
    tmp_path: Path,
    run: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clip, dry = filmed(tmp_path)
    result = tmp_path / 'stills.json'
    monkeypatch.setattr(
        evaluate_stills, 'open_derainer', lambda weights: nullcontext(lambda frame: frame)
    )

    assert run('--weights', 'fast', '--clips', clip, '--dry', dry, '--json', result) == 0

    printed = capsys.readouterr()
    assert '| yard |' in printed.out
    assert 'refused' not in printed.err
    written = json.loads(result.read_text())
    assert written['clips']['yard']['before'] == written['clips']['yard']['after']
    assert (written['dry_change'], written['problems']) == (0.0, [])


def test_weights_that_darken_are_refused(
    tmp_path: Path,
    run: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clip, dry = filmed(tmp_path)
    monkeypatch.setattr(
        evaluate_stills, 'open_derainer', lambda weights: nullcontext(darker_by(7))
    )

    assert run('--weights', 'fast', '--clips', clip, '--dry', dry) == 2

    (error,) = capsys.readouterr().err.splitlines()
    assert error.startswith('error: fast: not to be released: yard comes out -')
    assert 'dry frames change by 7.000' in error


def test_what_cannot_be_scored_is_named(
    tmp_path: Path, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    clip = write_video(tmp_path / 'yard.mp4', rain_before(scene(), 60))
    for clips, message in (
        ([tmp_path / 'gone.mp4'], 'gone.mp4'),
        ([clip, clip], 'another clip is called yard'),
    ):
        assert run('--weights', 'fast', '--clips', *clips) == 2
        assert message in capsys.readouterr().err.splitlines()[-1]


def test_released_weights_take_rain_off_a_real_camera() -> None:
    clip = read_clip(f'{data_folder("video/still/trees.mp4")}@200')
    with open_derainer('fast') as derain:
        score = score_still(clip, derain)

    assert 50 < score.floor < 60
    assert score.gain > 1.5
    assert score.streaks < 0.6
