"""How often the rain gate is wrong, and where its thresholds come from."""

import json
from pathlib import Path
import sys

import cv2
from helpers.stills import rain_before, scene, write_video
import numpy as np
from PIL import Image
import pytest

from training import calibrate_gate
from training.data.scenes import Scene
from training.data.weather import Kind, read_kinds, STILLS
from training.scores.bypass import choose, drive, measure, Numbers, Thresholds

RAINING = Thresholds(0.02, 0.015)


def numbers(name: str, rain: list[float], *, is_rainy: bool, gain_db: float | None = None):
    gains = None if gain_db is None else np.full(len(rain), gain_db)
    return Numbers(name, is_rainy, np.array(rain), gains, None)


def test_thresholds_lie_between_rain_and_dry_weather():
    rain = numbers('rain', [0.1, 0.2, 0.3], is_rainy=True)
    dry = numbers('dry', [0.0, 0.01, 0.02], is_rainy=False)
    raining, on_average = choose([rain, dry])
    assert raining == pytest.approx(0.06)
    assert 0.02 < on_average < raining


def test_where_they_overlap_rain_that_passes_counts_more():
    rain = numbers('rain', [0.1, 0.2, 0.3, 0.4], is_rainy=True)
    dry = numbers('dry', [0.0, 0.12, 0.22, 0.32], is_rainy=False)
    assert choose([rain, dry]).raining < 0.1


def test_rain_that_the_network_leaves_as_it_is_does_not_lower_the_threshold():
    faint = numbers('faint', [0.001, 0.002], is_rainy=True, gain_db=0.1)
    rain = numbers('rain', [0.1, 0.2], is_rainy=True, gain_db=5.0)
    dry = numbers('dry', [0.0, 0.01], is_rainy=False)
    assert choose([faint, rain, dry]) == choose([rain, dry])


def test_a_mistake_is_rain_that_passes_or_a_dry_image_that_does_not():
    rain = numbers('rain', [0.01, 0.02, 0.03], is_rainy=True)
    assert rain.wrong(0.02).tolist() == [True, True, False]
    dry = numbers('dry', [0.01, 0.02, 0.03], is_rainy=False)
    assert dry.wrong(0.02).tolist() == [False, False, True]


@pytest.mark.parametrize('start', range(6))
def test_rain_after_dry_weather_is_noticed_within_a_second(start):
    driven = drive(np.array([0.0, 0.01]), np.array([0.0, 0.1]), RAINING, start)
    assert driven.woke_s <= 1.0
    assert driven.passed <= 0.1
    assert driven.derained == 0.0


def test_a_gate_that_is_never_told_of_rain_never_wakes():
    driven = drive(np.zeros(1), np.zeros(1), RAINING, 0)
    assert (driven.passed, driven.derained) == (1.0, 0.0)


def test_measured_is_what_the_node_would_see():
    clean = np.full((96, 128, 3), 60, np.uint8)
    rainy = clean.copy()
    rainy[:48] += 40
    kind = Kind('half', True, lambda: iter([Scene('one', None, rainy, clean)]))
    found = measure(lambda image: np.minimum(image, 60), kind)
    assert found.rain.tolist() == [0.5]
    assert found.gain_db[0] == np.inf
    kind = Kind('dry', False, lambda: iter([Scene('one', None, clean, clean)]))
    found = measure(lambda image: image, kind)
    assert (found.rain.tolist(), found.gain_db) == ([0.0], None)


@pytest.fixture(scope='module')
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data folder with two scenes of each kind, or a few."""
    folder = tmp_path_factory.mktemp('data')

    def save(path: str, image: np.ndarray) -> None:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / path)

    clean = scene()
    rainy = rain_before(clean, 4)
    for name in ('rain_light', 'rain_heavy', 'rain_mixed'):
        for index, frame in enumerate(rainy):
            save(f'{name}/rainy/rain-{181 + index}.png', frame)
            save(f'{name}/clean/norain-{181 + index}.png', clean)
    for name in ('video/rain_pan_real', 'real'):
        for index, frame in enumerate(rainy):
            save(f'{name}/{index}.png', frame)
    for name in ('camvid', 'highway', 'bsds'):
        for index in range(4):
            save(f'clean/{name}/{index}.png', scene(index))
    (folder / 'video' / 'still').mkdir()
    for name in STILLS:
        write_video(folder / 'video' / 'still' / f'{name}.mp4', rain_before(clean, 120))
    write_video(folder / 'video' / 'driving_clean.mp4', np.stack([clean] * 8))
    return folder


def test_every_kind_is_read(data):
    for kind in read_kinds(data, most=4):
        scenes = list(kind.read())
        assert len(scenes) >= 2, kind.name
        for one in scenes:
            assert one.rainy.dtype == np.uint8
            assert one.truth is None or one.truth.shape == one.rainy.shape
            if not kind.is_rainy:
                assert np.array_equal(one.rainy, one.truth)
    assert {'yard', 'yard, median', 'driving', 'driving, drizzle'} <= {
        kind.name for kind in read_kinds(data, most=4)
    }


def test_the_script_says_what_to_write_where(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
):
    class Median:
        """Takes away what is narrow, as a network would."""

        __enter__ = lambda self: lambda image: cv2.medianBlur(image, 7)  # noqa: E731
        __exit__ = lambda *_: None  # noqa: E731

    monkeypatch.setattr(calibrate_gate, 'open_derainer', lambda _: Median())
    monkeypatch.setattr(
        sys,
        'argv',
        [
            *('calibrate_gate.py', '--weights', 'any', '--data', str(data)),
            *('--json', str(tmp_path / 'gate.json')),
        ],
    )
    assert calibrate_gate.main() == 0
    said = capsys.readouterr().out
    result = json.loads((tmp_path / 'gate.json').read_text())
    raining, dry = result['thresholds'].values()
    assert f'derain_ros/stream/gate.py: RAINING, DRY = {raining}, {dry}' in said
    assert 0 < dry < raining < 0.1
    for table in ('| **rain** |', '| dry, then rain, then dry |', '| max_change | 64 | 32 | 16 |'):
        assert table in said
    assert {row['weather'] for row in result['kinds']} == {'rain', 'dry'}


def test_missing_data_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.setattr(
        sys, 'argv', ['calibrate_gate.py', '--weights', 'fast', '--data', str(tmp_path)]
    )
    assert calibrate_gate.main() == 2
    assert 'rain_light' in capsys.readouterr().err
