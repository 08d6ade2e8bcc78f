"""What is known of a scene from a camera that stands still: the truth, and the rain before it."""

from helpers.stills import panned, rain_before, scene
import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from training.data.stills import make_still, real_layer
from training.data.stretches import find_stills
from training.scores.metrics import luma
from training.scores.stills import noise_floor


def timed(frames: np.ndarray) -> list[tuple[float, np.ndarray]]:
    return [(index / 20, frame) for index, frame in enumerate(frames)]


def test_the_median_is_the_scene_without_its_rain() -> None:
    still = make_still('yard', rain_before(scene(), 60))

    np.testing.assert_array_equal(still.median, scene())
    assert still.static.all()
    assert still.frames.shape == (8, 96, 128, 3)


def test_static_is_what_deviates_little_from_its_median_most_of_the_time() -> None:
    frames = np.repeat(scene()[None], 60, axis=0)
    frames[::2, 20:40, 30:50] += 9  # the median is between: deviates by 4.5, 4.5, ...
    frames[::2, 60:80, 30:50] += 7

    still = make_still('yard', frames)

    assert not still.static[20:40, 30:50].any()
    assert still.static[60:80, 30:50].all()


def test_what_darkens_or_is_bright_too_often_is_not_rain_alone() -> None:
    frames = np.repeat(scene()[None], 60, axis=0)
    frames[:6, 10:30, 10:40] -= 20  # a tenth of the time darker: a leaf
    frames[:20, 50:70, 10:40] += 20  # a third of the time brighter: a light
    frames[:6, 50:70, 80:110] += 20  # a tenth of the time brighter: a drop

    still = make_still('yard', frames)

    assert still.static.all()
    assert not still.rain_only[10:30, 10:40].any()
    assert not still.rain_only[50:70, 10:40].any()
    assert still.rain_only[50:70, 80:110].all()


def test_the_floor_is_how_well_the_medians_of_half_the_frames_agree() -> None:
    noise = np.random.default_rng(1).integers(-3, 4, (60, 96, 128, 3))
    frames = (scene() + noise).astype(np.uint8)

    one, other = (np.rint(np.median(frames[half::2], axis=0)).astype(np.uint8) for half in (0, 1))
    expected = peak_signal_noise_ratio(luma(one), luma(other), data_range=255)
    assert noise_floor(make_still('yard', frames)) == pytest.approx(expected)


def test_the_layer_is_the_rain_that_was_painted_and_no_noise() -> None:
    frames = rain_before(scene(), 60).astype(np.int16)
    noise = np.random.default_rng(1).integers(-1, 2, frames.shape)
    still = make_still('yard', np.clip(frames + noise, 0, 255).astype(np.uint8))

    painted = (rain_before(scene(), 60)[3] - scene()).mean(axis=-1)  # frame 3 is the first kept
    layer = real_layer(still, 0) * 255

    assert layer.dtype == np.float32
    assert np.abs(layer - painted)[painted > 0].max() <= 3
    assert (layer[painted == 0] > 0).mean() < 0.02


def test_stills_are_found_where_the_camera_does_not_move() -> None:
    stop, drive = rain_before(scene(), 70), panned(80)
    frames = np.concatenate([stop, drive, rain_before(scene(5), 65, seed=2)])

    first, second = find_stills('drive', timed(frames))

    assert (first.name, second.name) == ('drive at 0.0 s', 'drive at 7.5 s')
    np.testing.assert_array_equal(first.median, scene())
    np.testing.assert_array_equal(second.median, scene(5))


def test_no_still_is_found_on_a_drive_or_before_an_empty_sky() -> None:
    sky = np.full((150, 96, 128, 3), 200, np.uint8)

    assert list(find_stills('drive', timed(panned(150)))) == []
    assert list(find_stills('drive', timed(sky))) == []


def test_a_long_stop_gives_a_still_every_so_often() -> None:
    names = [still.name for still in find_stills('stop', timed(rain_before(scene(), 300)))]

    # 60 frames each, 60 left out between
    assert names == ['stop at 0.0 s', 'stop at 6.0 s', 'stop at 12.0 s']


def test_a_camera_may_change_its_size() -> None:
    small = np.ascontiguousarray(scene()[::2, ::2])
    frames = [*rain_before(scene(), 30), *([small] * 60)]

    (still,) = find_stills('camera', [(float(index), frame) for index, frame in enumerate(frames)])

    np.testing.assert_array_equal(still.median, small)
