"""How well objects and areas are found: COCO's rules, and intervals over frames."""

import math

import numpy as np
import pytest

from derain_ros.errors import DataError
from training.scores.perception.detection import DetectionScore, score_detections
from training.scores.perception.objects import Objects
from training.scores.perception.ratios import overlap, Ratio

NEAR = (10, 20, 110, 120)
FAR = (200, 50, 220, 70)  # small: below 32² pixels
SHIFTED = (70, 20, 170, 120)  # an IoU of 0.25 with NEAR


def cars(*boxes: tuple[int, ...], score: float = 0.9, crowd: tuple[int, ...] = ()) -> Objects:
    return Objects(
        boxes=np.array(boxes, float).reshape(-1, 4),
        classes=['car'] * len(boxes),
        scores=np.full(len(boxes), score),
        crowd=frozenset(crowd),
    )


def scored(found: list[Objects], known: list[Objects], **options: list[str]) -> DetectionScore:
    return score_detections(found, known, 0.5, **options)


def test_what_is_found_as_it_is_scores_one() -> None:
    frames = [cars(NEAR, FAR), cars(), cars(FAR)]

    score = scored(frames, frames)

    assert score.f1['all'].value == 1.0
    assert score.f1['all'].interval == (1.0, 1.0)
    assert (score.correct, score.found, score.known) == (3, 3, 3)
    assert (score.mean_precision, score.mean_precision_50) == pytest.approx((1.0, 1.0))
    assert score.interval == pytest.approx((1.0, 1.0))


def test_wrong_and_missed_objects_cost_alike() -> None:
    score = scored([cars(NEAR, SHIFTED)], [cars(NEAR, FAR)])

    assert (score.correct, score.found, score.known) == (1, 2, 2)
    assert score.f1['all'].value == 0.5
    # the precision is 1 up to half of the objects, and 0 beyond: 51 of COCO's 101 recalls
    assert score.mean_precision_50 == pytest.approx(51 / 101)


def test_an_object_is_found_once_and_by_its_name() -> None:
    assert scored([cars(NEAR, NEAR)], [cars(NEAR)]).correct == 1
    lorry = Objects(boxes=np.array([NEAR], float), classes=['truck'], scores=np.ones(1))
    score = scored([lorry], [cars(NEAR)])
    assert (score.correct, score.found, score.known) == (0, 1, 1)


def test_unsure_objects_count_for_precision_alone() -> None:
    score = scored([cars(NEAR, score=0.4)], [cars(NEAR)])

    assert (score.correct, score.found, score.f1['all'].value) == (0, 0, 0.0)
    assert score.mean_precision == pytest.approx(1.0)


def test_sizes_are_told_apart_by_the_area_of_the_box() -> None:
    f1 = scored([cars(NEAR)], [cars(NEAR, FAR)]).f1

    assert f1['large'].value == 1.0
    assert f1['small'].value == 0.0
    assert math.isnan(f1['medium'].value)


def test_a_crowd_is_neither_missed_nor_found() -> None:
    crowd = cars(NEAR, FAR, crowd=(0,))

    missed, found = scored([cars(FAR)], [crowd]), scored([cars(FAR, NEAR)], [crowd])

    assert (missed.known, missed.f1['all'].value) == (1, 1.0)
    assert (found.found, found.f1['all'].value) == (1, 1.0)


def test_classes_that_are_not_labelled_are_not_scored() -> None:
    found = Objects(
        boxes=np.array([NEAR, FAR], float), classes=['car', 'kite'], scores=np.full(2, 0.9)
    )

    assert scored([found], [cars(NEAR)], classes=['car']).f1['all'].value == 1.0
    assert scored([found], [cars(NEAR)]).f1['all'].value == pytest.approx(2 / 3)


def test_where_nothing_is_there_is_nothing_to_score() -> None:
    score = scored([cars(), cars()], [cars(), cars()])

    assert math.isnan(score.f1['all'].value)
    assert math.isnan(score.mean_precision)
    assert all(math.isnan(bound) for bound in (*score.f1['all'].interval, *score.interval))


def test_intervals_are_wide_where_frames_differ() -> None:
    known = [cars(NEAR)] * 20
    score = scored([cars(NEAR)] * 10 + [cars()] * 10, known)
    surer = scored([cars(NEAR)] * 19 + [cars()], known)

    low, high = score.f1['all'].interval
    # of 20 drawn frames between 6 and 14 are good ones, in 95 of 100 cases: F1 is 2 n / (n + 20)
    assert low == pytest.approx(12 / 26, abs=0.05)
    assert high == pytest.approx(28 / 34, abs=0.05)
    assert score.interval[0] < score.mean_precision < score.interval[1]
    assert surer.f1['all'].interval[0] > low


def test_gains_are_of_the_same_frames() -> None:
    good, bad = np.ones(20), np.arange(20) % 2
    one, other = Ratio(good, np.ones(20)), Ratio(bad.astype(float), np.ones(20))

    assert other.gain_over(other) == (0.0, 0.0)
    low, high = one.gain_over(other)
    assert 0.2 < low < 0.5 < high < 0.8


def test_areas_overlap_over_all_frames() -> None:
    left, whole, none = np.zeros((3, 4, 6), bool)
    left[:, :2], whole[:] = True, True

    assert overlap([left, whole], [whole, whole]).value == (8 + 24) / 48
    assert math.isnan(overlap([none], [none]).value)


def test_what_a_detector_gives_must_fit_together() -> None:
    with pytest.raises(DataError, match=r'1 classes, boxes \(2, 4\) and scores \(1,\)'):
        Objects(boxes=np.zeros((2, 4)), classes=['car'], scores=np.ones(1))
    with pytest.raises(DataError, match='not finite'):
        Objects(boxes=np.full((1, 4), np.nan), classes=['car'], scores=np.ones(1))
    with pytest.raises(DataError, match='ends before it begins; give left, top, right, bottom'):
        Objects(boxes=np.array([[200.0, 50.0, 20.0, 20.0]]), classes=['car'], scores=np.ones(1))
