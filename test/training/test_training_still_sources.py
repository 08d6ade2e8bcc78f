"""Crops of real rain and of drizzle: what is in them, and what is not."""

from helpers.stills import rain_before, scene
import numpy as np
import pytest

from training.data.drizzle import drizzle_layer, Fall, lit_rain, random_falls, random_scene
from training.data.scene_sources import DrizzleSource
from training.data.still_sources import MedianPairSource, StillLayerSource
from training.data.stills import make_still, Still


@pytest.fixture(scope='module')
def still() -> Still:
    return make_still('yard', rain_before(scene(), 60))


def test_median_pairs_are_a_frame_and_the_scene_behind_it(still: Still) -> None:
    rainy, clean = MedianPairSource([still]).crop(64, np.random.default_rng(0))

    difference = rainy.astype(int) - clean
    assert set(np.unique(difference)) == {0, 30}


def test_what_moves_by_itself_is_the_same_in_both_of_a_median_pair() -> None:
    frames = rain_before(scene(), 60)
    frames[:6, :, :40] -= 20  # a branch
    source = MedianPairSource([make_still('branch', frames)])

    for seed in range(8):
        rainy, clean = source.crop(48, np.random.default_rng(seed))
        assert (rainy.astype(int) - clean).min() >= 0


def test_real_rain_falls_on_other_images(still: Still) -> None:
    grey = np.full((80, 80, 3), 100, np.uint8)
    source = StillLayerSource([grey], [still], sensor=0.0)

    for seed in range(8):
        rainy, clean = source.crop(48, np.random.default_rng(seed))
        assert (clean == 100).all()
        assert (rainy >= clean).all()
        assert 0 < (rainy > clean).mean() < 0.5


def test_drizzle_is_as_faint_and_sparse_as_it_was_asked_for() -> None:
    fall = Fall(angle=0.0, length=12.0, width=0.8, peak=0.1, cover=0.05)
    layers = [drizzle_layer(128, [fall], np.random.default_rng(seed)) for seed in range(10)]

    assert all(layer.shape == (128, 128) and layer.min() >= 0 for layer in layers)
    assert 0.08 < max(layer.max() for layer in layers) < 0.1201
    # the cover counts what is at least a quarter as bright as the brightest
    assert np.mean([(layer > 0.025).mean() for layer in layers]) == pytest.approx(0.05, rel=0.5)


@pytest.mark.parametrize(('angle', 'axis'), [(0.0, 0), (90.0, 1)])
def test_streaks_lie_along_the_fall(angle: float, axis: int) -> None:
    fall = Fall(angle=angle, length=20.0, width=0.6, peak=0.2, cover=0.03)
    layer = drizzle_layer(96, [fall], np.random.default_rng(0))

    along, across = (np.abs(np.diff(layer, axis=a)).mean() for a in (axis, 1 - axis))
    assert along < across / 3


def test_random_drizzle_reaches_from_hardly_visible_to_bright() -> None:
    layers = [
        drizzle_layer(64, random_falls(rng), rng) for rng in map(np.random.default_rng, range(200))
    ]
    coverage = [(layer > 2 / 255).mean() for layer in layers]

    assert np.percentile([layer.max() for layer in layers], 10) < 0.08
    assert np.percentile([layer.max() for layer in layers], 90) > 0.3
    # real layers of six cameras cover 0.5 to 7 % of the static pixels
    assert 0.005 < np.median(coverage) < 0.15


def test_rain_takes_the_colour_of_the_light_around_it() -> None:
    lamp = np.zeros((64, 64, 3), np.uint8)
    lamp[..., 0], lamp[..., 1] = 120, 60
    layer = np.full((64, 64), 0.2, np.float32)

    white, lit = (lit_rain(lamp, layer, coloured).astype(int) - lamp for coloured in (0.0, 1.0))

    assert (white == 51).all()
    red, green, blue = lit[32, 32]
    assert red > green > blue == 0


def test_clean_crops_of_drizzle_have_no_rain_and_all_that_was_done_to_the_scene() -> None:
    source = DrizzleSource([scene()], sensor=0.0)
    changed = 0
    for seed in range(20):
        rainy, clean = source.crop(64, np.random.default_rng(seed))
        assert rainy.dtype == clean.dtype == np.uint8
        changed += bool((rainy != clean).any())
        again = source.crop(64, np.random.default_rng(seed))
        np.testing.assert_array_equal(again[0], rainy)
    assert changed >= 18  # the faintest drizzle may round to nothing


def test_scenes_come_by_night_with_lines_blurred_and_plain() -> None:
    image = scene()[:64, :64]
    scenes = [random_scene(image, np.random.default_rng(seed)) for seed in range(60)]

    assert any((seen == image).all() for seen in scenes)
    assert any(np.median(seen) < 0.5 * np.median(image) for seen in scenes)
    assert any(seen.max() > image.max() + 50 for seen in scenes)  # lights
    assert all(seen.dtype == np.uint8 and seen.shape == image.shape for seen in scenes)
    assert (image == scene()[:64, :64]).all()  # the images of the set stay as they are
