"""How often the rain gate is wrong, and where its thresholds come from."""

from dataclasses import replace
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
from training.scores.bypass import measure, Numbers
from training.scores.drives import choose, drive, DRIVES, PHASE_S, Thresholds

RAINING = Thresholds(0.02, 0.015)


def numbers(rain: list[float], *, is_rainy: bool, gain_db: float | None = None) -> Numbers:
    kind = Kind('any', is_rainy, lambda: iter(()), interval_s=0.2)
    gains = None if gain_db is None else np.full(len(rain), gain_db)
    return Numbers(kind=kind, rain=np.array(rain), gain_db=gains)


def everywhere(dry: Numbers, rain: Numbers) -> list[Numbers]:
    """Return the kinds of every drive, with the same weather everywhere."""
    return [
        replace(numbers, kind=replace(numbers.kind, name=name))
        for names in DRIVES
        for numbers, name in zip((dry, rain), names, strict=True)
    ]


DRY_STREET = numbers([0.0, 0.004, 0.001], is_rainy=False)


def test_thresholds_lie_between_rain_and_dry_weather():
    raining, dry = choose(everywhere(DRY_STREET, numbers([0.02, 0.05, 0.03], is_rainy=True)))
    assert 0.004 <= raining < 0.03
    assert 0.005 / 3 < dry < raining


def test_where_they_overlap_rain_that_passes_counts_more():
    rain = numbers([0.002, 0.003], is_rainy=True, gain_db=5.0)
    assert choose(everywhere(DRY_STREET, rain)).raining < 0.003


def test_rain_that_the_network_leaves_as_it_is_may_pass():
    faint = numbers([0.002, 0.003], is_rainy=True, gain_db=0.1)
    thresholds = choose(everywhere(DRY_STREET, faint))
    assert drive(DRY_STREET, faint, thresholds) == (1.0, 0.0, 0.0, PHASE_S)


def test_a_mistake_is_rain_that_passes_or_a_dry_image_that_does_not():
    assert numbers([0.01, 0.02, 0.03], is_rainy=True).wrong(0.02).tolist() == [True, True, False]
    assert numbers([0.01, 0.02, 0.03], is_rainy=False).wrong(0.02).tolist() == [False, False, True]


@pytest.mark.parametrize('start', range(6))
def test_rain_after_dry_weather_is_noticed_within_a_second(start):
    rain = numbers([0.0, 0.1, 0.1], is_rainy=True)
    driven = drive(numbers([0.0, 0.01], is_rainy=False), rain, RAINING, start)
    assert driven.woke_s <= 1.0
    assert driven.passed == pytest.approx(driven.woke_s / PHASE_S)
    assert driven.lost == driven.passed
    assert driven.derained == 0.0


def test_a_dry_street_that_looks_like_rain_is_derained():
    street, rain = (numbers([0.1], is_rainy=is_rainy) for is_rainy in (False, True))
    assert drive(street, rain, RAINING) == (0.0, 0.0, 1.0, 0.0)


def test_measured_is_what_the_node_would_see():
    clean = np.full((96, 128, 3), 60, np.uint8)
    rainy = clean.copy()
    rainy[:48] += 40
    kind = Kind('half', True, lambda: iter([Scene('one', None, rainy, clean)]), 1.0)
    found = measure(lambda image: np.minimum(image, 60), kind)
    assert found.rain.tolist() == [0.5]
    assert found.gain_db[0] == np.inf
    kind = Kind('dry', False, lambda: iter([Scene('one', None, clean, clean)]), 1.0)
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
    assert 0 < dry < raining <= 0.1
    for table in ('| **rain** |', '| dry; rain; dry again |', '| max_change | 64 | 32 | 16 |'):
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
