"""Rainy and dry scenes by kind, from the data folder, to see what tells them apart."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from itertools import islice
from pathlib import Path

import numpy as np

from derain_ros.errors import DataError
from derain_ros.media.images import image_files, read_image
from derain_ros.media.videos import video_facts, video_frames
from training.data.drizzle import lit_rain, random_drizzle
from training.data.pairs import read_pairs, VALIDATION
from training.data.scenes import numbered, Scene, spread
from training.data.stills import make_still, Still, WINDOW

PAIRS = ('rain_light', 'rain_heavy', 'rain_mixed')
STILLS = ('yard', 'trees', 'leaves', 'lamps', 'streetlight', 'branch')
DRIVE = 'driving_clean.mp4'
# one scene after the other of what was filmed, and of what was not
FRAME_S, SCENE_S = 0.2, 1.0
FILMED = ('rain_pan_real', 'driving', 'driving, light rain', 'driving, drizzle', *STILLS)

Scenes = Iterator[Scene]


@dataclass(frozen=True)
class Kind:
    """
    Scenes of one kind.

    :param read: reads them, in the order of time or name. The truth of a dry scene is the scene
        itself; of a still, its median where nothing but rain moves; None where nobody knows it.
    :param interval_s: how long a camera shows such a scene.
    """

    name: str
    is_rainy: bool
    read: Callable[[], Scenes]
    interval_s: float


def read_kinds(data: Path, most: int) -> list[Kind]:
    """
    Return every kind of weather in the data folder.

    :param most: scenes of an image folder or a video, spread over all that there are.
    """
    rain = {
        **{name: partial(_pairs, data / name) for name in PAIRS},
        'rain_pan_real': partial(_images, data / 'video' / 'rain_pan_real', most, is_dry=False),
        'photographs': partial(_images, data / 'real', most, is_dry=False),
        'driving, light rain': partial(_light_rain, data),
        'driving, drizzle': partial(_drizzle, data),
        **{name: partial(_frames_of_still, data, name) for name in STILLS},
    }
    dry = {
        'driving': partial(_drive, data, most),
        **{
            name: partial(_images, data / 'clean' / name, most, is_dry=True)
            for name in ('camvid', 'highway', 'bsds')
        },
        'rain_light, clean': partial(_clean_of_pairs, data / 'rain_light'),
        **{f'{name}, median': partial(_medians, data, name) for name in STILLS},
    }
    return [
        Kind(name, is_rainy, read, FRAME_S if name in FILMED else SCENE_S)
        for kinds, is_rainy in ((rain, True), (dry, False))
        for name, read in kinds.items()
    ]


def _pairs(folder: Path) -> Scenes:
    pairs = (Scene(pair.name, pair.number, pair.rainy, pair.clean) for pair in read_pairs(folder))
    return iter(numbered(pairs, VALIDATION[0], VALIDATION[-1]))


def _clean_of_pairs(folder: Path) -> Scenes:
    for pair in read_pairs(folder):
        if pair.number in VALIDATION:
            yield _dry(pair.name, pair.clean)


def _dry(name: str, image: np.ndarray) -> Scene:
    return Scene(name, None, image, image)


def _images(folder: Path, most: int, *, is_dry: bool) -> Scenes:
    files = image_files(folder)
    for index in spread(len(files), most):
        image = read_image(files[index])
        yield Scene(files[index].stem, None, image, image if is_dry else None)


def _drive(data: Path, most: int) -> Scenes:
    video = data / 'video' / DRIVE
    chosen = set(spread(video_facts(video).frames, most))
    for index, frame in enumerate(video_frames(video)):
        if index in chosen:
            yield _dry(f'{DRIVE} {index}', frame)


def _light_rain(data: Path) -> Scenes:
    """Add the rain of the light pairs to the drive, mirrored at its edges."""
    pairs = list(_pairs(data / 'rain_light'))
    for scene, pair in zip(_drive(data, len(pairs)), pairs, strict=False):
        assert pair.truth is not None
        layer = np.clip(pair.rainy.astype(np.int16) - pair.truth, 0, 255)
        missing = np.maximum(np.subtract(scene.rainy.shape, layer.shape), 0)
        layer = np.pad(layer, [(0, more) for more in missing], 'symmetric')
        height, width, _ = scene.rainy.shape
        rainy = np.minimum(scene.rainy + layer[:height, :width], 255).astype(np.uint8)
        yield Scene(scene.name, None, rainy, scene.rainy)


def _drizzle(data: Path) -> Scenes:
    """Draw drizzle before the drive."""
    rng = np.random.default_rng(0)
    for scene in _drive(data, most=20):
        height, width, _ = scene.rainy.shape
        layer = random_drizzle(height, width, rng)
        rainy = lit_rain(scene.rainy, layer, float(rng.uniform(0.0, 1.0)))
        yield Scene(scene.name, None, rainy, scene.rainy)


@cache
def _stills(data: Path, name: str) -> tuple[Still, ...]:
    """Return the first and the last seconds of a clip."""
    video = data / 'video' / 'still' / f'{name}.mp4'
    count = video_facts(video).frames
    if count < 2 * WINDOW:
        raise DataError(f'{video}: has {count} frames, and two medians take {2 * WINDOW}')
    windows = [islice(video_frames(video), first, first + WINDOW) for first in (0, count - WINDOW)]
    return tuple(make_still(name, np.stack(list(window))) for window in windows)


def _frames_of_still(data: Path, name: str) -> Scenes:
    for still in _stills(data, name):
        for index, frame in enumerate(still.frames):
            truth = np.where(still.static[..., None], still.median, frame)
            yield Scene(f'{name} {index}', None, frame, truth)


def _medians(data: Path, name: str) -> Scenes:
    for still in _stills(data, name):
        yield _dry(name, still.median)
