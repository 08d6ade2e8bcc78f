"""Synthesized rain has the measured statistics of the public sets, and joins images as it says."""

import cv2
from helpers.data import data_folder
import numpy as np
import pytest

from training.data.pairs import Pair, read_pairs
from training.data.rain import (
    add_rain,
    haze,
    Rain,
    rain_layer,
    rain_of,
    random_rain,
    road_depth,
    screen_rain,
    streak_layer,
)
from training.data.scene_sources import IdentitySource
from training.data.sensor import backlit, Sensor
from training.data.sources import LayerSource, PairSource, SyntheticSource

# 5th to 95th percentile over 40 pairs, of rainy - clean, mean of the channels: the layer's mean,
# its 99th percentile, and the share of it above 0.05
MEASURED = {
    'rain_light': ((0.007, 0.038), (0.121, 0.455), (0.045, 0.174)),
    'rain_heavy': ((0.080, 0.353), (0.331, 0.765), (0.551, 0.941)),
}


def layer_statistics(layer: np.ndarray) -> tuple[float, float, float]:
    return float(layer.mean()), float(np.percentile(layer, 99)), float((layer > 0.05).mean())


def test_rain_reaches_from_light_to_heavy_as_in_the_public_sets() -> None:
    rng = np.random.default_rng(0)
    layers = [np.minimum(rain_layer(161, 241, random_rain(rng), rng), 1) for _ in range(60)]

    low, high = np.percentile([layer_statistics(layer) for layer in layers], [5, 95], axis=0)

    for index, (light, heavy) in enumerate(zip(MEASURED['rain_light'], MEASURED['rain_heavy'])):
        assert light[0] < low[index] < light[1]  # drizzle is like light rain
        assert heavy[0] < high[index] < heavy[1]  # a downpour like heavy rain


@pytest.mark.parametrize('name', MEASURED)
def test_the_measured_statistics_are_those_of_the_data(name: str) -> None:
    layers = [
        (pair.rainy.astype(float) - pair.clean).mean(axis=2) / 255
        for pair in read_pairs(data_folder(name))[:40]
    ]

    spread = np.percentile([layer_statistics(layer) for layer in layers], [5, 95], axis=0)

    np.testing.assert_allclose(spread.T, MEASURED[name], atol=0.001)


def test_streaks_fall_in_the_direction_asked_for() -> None:
    rain = Rain(angle=30.0, density=0.0005, length_px=30.0, brightness=0.5)
    layer = streak_layer(200, 200, rain, np.random.default_rng(0))

    def along(tilt: float) -> float:
        """Correlate the layer with itself, eight pixels further along a direction."""
        down, right = (round(8 * float(f(np.deg2rad(tilt)))) for f in (np.cos, np.sin))
        return float(
            (
                layer[20:180, 20:180] * layer[20 + down : 180 + down, 20 + right : 180 + right]
            ).mean()
        )

    assert max(range(-60, 61, 15), key=along) == 30


def test_rain_falls_from_one_to_five_directions() -> None:
    rng = np.random.default_rng(0)

    assert {len(random_rain(rng)) for _ in range(50)} == {1, 2, 3, 4, 5}


def test_added_rain_is_clipped_and_screened_rain_never_is() -> None:
    image = np.array([[[0, 100, 200]]], np.uint8)
    layer = np.array([[0.5]], np.float32)

    assert add_rain(image, layer).tolist() == [[[128, 228, 255]]]
    assert screen_rain(image, layer).tolist() == [[[128, 178, 228]]]  # 255 - (255 - J) / 2


def test_haze_follows_depth() -> None:
    image = np.zeros((3, 1, 3), np.uint8)
    depth = np.array([[0.0], [np.log(2) / 0.01], [1e6]])

    hazy = haze(image, depth, density=0.01, airlight=0.8)

    assert hazy[:, 0, 0].tolist() == [0, 102, 204]


def test_the_road_is_near_below_and_far_above() -> None:
    depth = road_depth(np.array([0.0, 0.46, 0.7, 0.95]))

    assert depth.tolist() == pytest.approx([150.0, 150.0, 6.0, 3.0])


def test_sensor_noise_has_the_variance_it_says() -> None:
    grey = np.full((256, 256, 3), 128, np.uint8)
    sensor = Sensor(shot=1e-3, read=1e-4, quality=100, seed=1)

    # in luma, which JPEG keeps at full resolution; independent noise adds up by squares
    noise = cv2.cvtColor(sensor(grey), cv2.COLOR_RGB2GRAY) / 255
    share = 0.299**2 + 0.587**2 + 0.114**2

    assert noise.var() == pytest.approx(share * (1e-3 * 128 / 255 + 1e-4), rel=0.05)


@pytest.fixture
def pair() -> Pair:
    rng = np.random.default_rng(0)
    clean = rng.integers(0, 150, (40, 40, 3), np.uint8)
    return Pair('here', 1, clean + np.uint8(60), clean)


def test_layers_of_pairs_fall_on_other_backgrounds(pair: Pair) -> None:
    source = LayerSource([np.full((40, 40, 3), 7, np.uint8)], [pair])
    crops = [source.crop(24, np.random.default_rng(seed)) for seed in range(8)]

    untouched = [rainy for rainy, clean in crops if (clean == 7).all()]
    assert any((rainy == 67).all() for rainy in untouched)


def test_the_rain_of_a_pair_is_that_of_the_channel_that_clips_last() -> None:
    clean = np.array([[[10, 20, 30], [200, 250, 240], [255, 230, 255]]], np.uint8)
    rainy = np.minimum(clean + np.uint16(50), 255).astype(np.uint8)

    assert (rain_of(rainy, clean) * 255).round().tolist() == [[50, 50, 25]]


def test_against_the_light_black_and_white_clip() -> None:
    image = np.array([[[100] * 3, [140] * 3]], np.uint8)

    assert backlit(image, gain=2).tolist() == [[[80] * 3, [160] * 3]]
    assert backlit(image, gain=10).tolist() == [[[0] * 3, [255] * 3]]


@pytest.mark.parametrize('name', MEASURED)
def test_grey_rain_is_taken_off_a_pair_and_put_on_again(name: str) -> None:
    for pair in read_pairs(data_folder(name))[:20]:
        rainy = add_rain(pair.clean, rain_of(pair.rainy, pair.clean))
        assert cv2.absdiff(rainy, pair.rainy).max() <= 1


def test_synthetic_rain_brightens_and_identity_changes_nothing(street: np.ndarray) -> None:
    for seed in range(8):
        rainy, clean = SyntheticSource([street]).crop(48, np.random.default_rng(seed))
        assert rainy.mean() > clean.mean()
        rainy, clean = IdentitySource([street]).crop(48, np.random.default_rng(seed))
        np.testing.assert_array_equal(rainy, clean)


def test_some_rain_free_crops_are_against_the_light() -> None:
    image = np.random.default_rng(0).integers(100, 141, (40, 40, 3), np.uint8)
    source = IdentitySource([image], sensor=0.0)
    crops = [source.crop(24, np.random.default_rng(seed))[1] for seed in range(20)]

    assert any(crop.min() == 0 and crop.max() == 255 for crop in crops)
    assert any(crop.min() >= 100 and crop.max() <= 140 for crop in crops)


def test_the_papers_crops_are_so_many_per_image(pair: Pair) -> None:
    rng = np.random.default_rng(0)
    fixed, free = PairSource([pair], crops_per_image=3), PairSource([pair])

    windows = {clean.tobytes() for _, clean in (fixed.crop(16, rng) for _ in range(60))}
    assert len(windows) == 3
    assert len({clean.tobytes() for _, clean in (free.crop(16, rng) for _ in range(60))}) > 20
