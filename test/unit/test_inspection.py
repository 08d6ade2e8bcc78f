"""Which results cannot be de-rained images; and that what the models do can."""

import re

import cv2
from helpers.data import data_folder
import numpy as np
import pytest

from derain_ros.engine.openvino import OpenVinoEngine
from derain_ros.media.images import image_files, read_image
from derain_ros.stream.inspection import Inspector
from derain_ros.stream.state import StreamState
from training.data.pairs import read_pairs


def problem_of(rainy: np.ndarray, derained: np.ndarray) -> str:
    return Inspector().inspect(rainy, derained).problem


@pytest.fixture
def picture(street: np.ndarray) -> np.ndarray:
    return cv2.resize(street, (320, 240))


DESTROYED = {
    'black': (lambda image: np.zeros_like(image), 'turned black'),
    'white': (lambda image: np.full_like(image, 255), 'turned white'),
    'grey': (lambda image: np.full_like(image, 100), 'contrast'),
    'a fifth black': (
        lambda image: np.where(np.arange(240)[:, None, None] < 48, 0, image).astype(np.uint8),
        'turned black',
    ),
    'noise': (
        lambda image: np.random.default_rng(0).integers(0, 256, image.shape, np.uint8),
        'scene|brighter',
    ),
    'without blue': (lambda image: image * np.array([1, 1, 0], np.uint8), 'a channel'),
    'upside down': (lambda image: image[::-1].copy(), 'scene'),
    'negative': (lambda image: 255 - image, 'scene|brighter'),
    'half as bright': (lambda image: image // 2, 'scene of the input with 50% of its contrast'),
    'red for blue': (lambda image: image[..., ::-1].copy(), 'red and blue are swapped'),
}


@pytest.mark.parametrize('how', DESTROYED)
def test_a_destroyed_result_is_named(picture, how):
    destroy, words = DESTROYED[how]
    assert re.search(words, problem_of(picture, destroy(picture)))


def test_a_result_that_stays_while_the_input_moves_is_frozen(picture):
    inspector = Inspector()
    assert inspector.inspect(picture, picture).problem == ''
    moved = np.roll(picture, 5, axis=1)
    assert 'the same as the one before' in inspector.inspect(moved, picture).problem


def test_a_scene_that_stands_still_may_stay_as_it_is(picture):
    inspector = Inspector()
    assert [inspector.inspect(picture, picture).problem for _ in range(3)] == [''] * 3


@pytest.mark.parametrize('grey', [0, 3, 128, 255])
def test_a_plain_image_may_stay_plain(grey):
    plain = np.full((240, 320, 3), grey, np.uint8)
    assert problem_of(plain, plain) == ''


def test_a_plain_image_may_not_turn_black():
    plain = np.full((240, 320, 3), 120, np.uint8)
    assert problem_of(plain, np.zeros_like(plain))


def test_a_plain_image_may_not_turn_to_noise(picture):
    plain = np.full_like(picture, 128)
    noise = np.random.default_rng(0).integers(0, 256, plain.shape, np.uint8)
    assert 'a plain image changed' in problem_of(plain, noise)


@pytest.mark.parametrize('size', [(16, 16), (17, 2000), (1080, 1920)])
def test_any_size_is_checked(size):
    noise = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    assert problem_of(noise, noise) == ''
    assert problem_of(noise, np.zeros_like(noise))


def test_rain_is_the_share_of_the_image_that_lost_streaks():
    dry = np.full((240, 320, 3), 80, np.uint8)
    rainy = dry.copy()
    rainy[:, 32:64] = 89
    rainy[:, 96:192] = 88  # too faint to count
    assert Inspector().inspect(rainy, dry).rain == pytest.approx(0.1, abs=0.01)
    assert Inspector().inspect(dry, dry).rain == 0
    assert Inspector().inspect(dry, rainy).rain == 0, 'what brightens is no rain'


@pytest.mark.parametrize('model', ['fast', 'fast-light', 'fast-heavy'])
def test_what_the_models_do_to_rain_is_plausible(model):
    engine = OpenVinoEngine(model)
    rainy = [pair.rainy for pair in read_pairs(data_folder('rain_heavy'))[180::4]]
    rainy += [read_image(path) for path in image_files(data_folder('real'))[::15]]
    for image in rainy:
        crop = np.ascontiguousarray(cv2.resize(image, (480, 320)))
        out = np.empty_like(crop)
        engine.infer(crop[None], out[None], 'rgb')
        assert problem_of(crop, out) == ''


def test_memory_is_forgotten_when_the_stream_does_not_go_on():
    state = StreamState()

    def advance(stamp_s: float, shape: tuple = (48, 64, 3), order: str = 'bgr') -> bool:
        state.advance(shape, order, stamp_s)
        kept, state.memory = state.memory is not None, 'features'
        return kept

    assert not advance(10.0), 'the first frame'
    assert advance(10.1)
    assert not advance(10.1), 'no later'
    assert not advance(9.0), 'earlier'
    assert advance(9.4)
    assert not advance(10.0), 'a gap'
    assert not advance(10.1, (96, 64, 3)), 'another size'
    assert not advance(10.2, (96, 64, 3), 'rgb'), 'another order'
    assert advance(10.3, (96, 64, 3), 'rgb')
