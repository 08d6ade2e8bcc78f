"""The arms: frames in rain, de-rained, gated and clean."""

from helpers.data import data_folder
from helpers.stills import scene
import numpy as np
import pytest

from derain_ros.errors import DataError
from training.scores.evaluation import open_derainer
from training.scores.perception.arms import Judges, let_through
from training.scores.perception.cases import score_dry
from training.scores.perception.detection import score_detections
from training.scores.perception.footage import Footage, read_footage
from training.scores.perception.judges import FastestDet, TwinLiteNet
from training.scores.perception.objects import Objects
from training.scores.perception.rains import in_rain, RAINS
from training.scores.perception.ratios import overlap

BOX = (10.0, 20.0, 50.0, 60.0)


def detect(image: np.ndarray) -> Objects:
    """See a car where there is no rain: the scene has nothing brighter than 180."""
    count = int(image.max() <= 180)
    boxes = np.full((count, 4), BOX)
    return Objects(boxes=boxes, classes=['car'] * count, scores=np.full(count, 0.8))


def mark(image: np.ndarray) -> dict[str, np.ndarray]:
    return {'road': image.max(axis=2) <= 180}


def derain(image: np.ndarray) -> np.ndarray:
    return scene()


@pytest.fixture
def footage() -> Footage:
    return Footage('drive', [scene()] * 4, [f'{index}.png' for index in range(4)])


def test_rain_hides_what_de_raining_shows_again(footage: Footage) -> None:
    cases = {case.rain: case for case in score_dry(footage, derain, Judges(detect, mark))}

    assert list(cases) == ['none', *RAINS]
    heavy = cases['heavy'].arms
    assert list(heavy) == ['raw', 'de-rained', 'gated', 'clean']
    f1 = {name: arm.detections.f1['all'].value for name, arm in heavy.items()}
    assert f1 == {'raw': 0.0, 'de-rained': 1.0, 'gated': 1.0, 'clean': 1.0}
    assert heavy['raw'].areas['road'].value < 1.0 == heavy['gated'].areas['road'].value
    assert cases['heavy'].passed == 0.0
    dry = cases['none']
    assert {arm.detections.f1['all'].value for arm in dry.arms.values()} == {1.0}
    assert (dry.passed, dry.count) == (1.0, 4)


def test_the_gate_spares_dry_frames_what_the_network_does_to_them(footage: Footage) -> None:
    judges = Judges(detect)
    # brighter than what the judge takes for dry, but nothing that the gate takes for rain
    dry, *_ = score_dry(footage, lambda image: image + np.uint8(2), judges)

    f1 = {name: arm.detections.f1['all'].value for name, arm in dry.arms.items()}
    assert f1 == {'raw': 1.0, 'de-rained': 0.0, 'gated': 1.0}


def test_a_detector_that_gives_something_else_is_named() -> None:
    with pytest.raises(DataError, match='the detector gave list; it must give Objects'):
        Judges(lambda image: [BOX]).see(scene())


def test_the_gate_has_seen_the_weather_before() -> None:
    wet = [in_rain(scene(), 'heavy', index) for index in range(2)]

    assert let_through([scene()], [scene()]) == [True]
    assert let_through(wet, [scene()] * 2) == [False, False]


def test_rain_is_the_same_at_every_call_and_another_on_every_frame() -> None:
    for kind in RAINS:
        first = in_rain(scene(), kind, 0)
        assert np.array_equal(first, in_rain(scene(), kind, 0))
        assert not np.array_equal(first, in_rain(scene(), kind, 1))
        assert (first >= scene()).all()


def test_released_weights_help_real_judges_in_heavy_rain() -> None:
    folder, video = data_folder('perception'), data_folder('video/driving_clean.mp4')
    judges = Judges(FastestDet(folder), TwinLiteNet(folder))
    (clean,) = read_footage(video, 1).images
    rainy = in_rain(clean, 'four directions', 0)
    with open_derainer('fast') as derainer:
        seen = [judges.see(image) for image in (rainy, derainer(rainy), clean)]

    found = [one.objects for one in seen]
    raw, derained = (score_detections([one], [found[2].sure(0.5)], 0.5) for one in found[:2])
    assert derained.correct > raw.correct
    areas = [one.areas['drivable area'] for one in seen]
    raw, derained = (overlap([area], [areas[2]]).value for area in areas[:2])
    assert derained > 0.9 > raw
