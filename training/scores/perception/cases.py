"""Scores of the arms: dry frames as they are and in synthetic rain, and real rain."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from training.scores.evaluation import Derain
from training.scores.perception.arms import Arms, Judges, Masks, see_arms, Seen
from training.scores.perception.detection import DetectionScore, score_detections
from training.scores.perception.footage import Footage
from training.scores.perception.labels import Labels
from training.scores.perception.objects import Objects
from training.scores.perception.rains import in_rain, RAINS
from training.scores.perception.ratios import overlap, Ratio


@dataclass(frozen=True)
class Truth:
    """
    What there is to be seen in each frame.

    :param classes: that are known; None: all.
    :param areas: none where nothing is known of them.
    """

    objects: list[Objects]
    classes: list[str] | None = None
    areas: list[Masks] = field(default_factory=list)


@dataclass(frozen=True)
class ArmScore:
    """How well objects are found, and areas by name, as IoU."""

    detections: DetectionScore
    areas: dict[str, Ratio]


@dataclass(frozen=True)
class Case:
    """
    The scores of each arm on some frames in some rain.

    :param passed: share of the frames that the gate let through.
    """

    frames: str
    rain: str
    count: int
    passed: float
    arms: dict[str, ArmScore]


@dataclass(frozen=True)
class Count:
    """
    What is seen in real rain, of which nothing is known.

    :param objects, areas: per frame, by arm; areas as a share of the image.
    """

    frames: str
    count: int
    passed: float
    objects: dict[str, float]
    areas: dict[str, dict[str, float]]


def score_dry(
    footage: Footage, derain: Derain, judges: Judges, labels: Labels | None = None
) -> Iterator[Case]:
    """
    Score dry frames as they are, and in each of RAINS.

    What is known is what is seen in the dry frame; of objects what the labels say, if given.
    """
    clean = [judges.see(image) for image in footage.images]
    areas = [seen.areas for seen in clean]
    if labels:
        truth = Truth([labels.of(file) for file in footage.files], labels.classes, areas)
    else:
        sure = [seen.objects.sure(judges.least_score) for seen in clean]
        truth = Truth(sure, None, areas)
    yield _case(footage, 'none', see_arms(footage.images, derain, judges, clean), truth, judges)
    for rain in RAINS:
        raw = [in_rain(image, rain, index) for index, image in enumerate(footage.images)]
        arms = see_arms(raw, derain, judges)
        yield _case(footage, rain, Arms(arms.seen | {'clean': clean}, arms.passed), truth, judges)


def score_labelled(footage: Footage, derain: Derain, judges: Judges, labels: Labels) -> Case:
    """Score objects in real rain by labels."""
    truth = Truth([labels.of(file) for file in footage.files], labels.classes)
    return _case(footage, 'real', see_arms(footage.images, derain, judges), truth, judges)


def _case(footage: Footage, rain: str, arms: Arms, truth: Truth, judges: Judges) -> Case:
    scores = {
        name: ArmScore(
            score_detections(
                [one.objects for one in seen], truth.objects, judges.least_score, truth.classes
            ),
            {area: _overlap(area, seen, truth) for area in (truth.areas or [{}])[0]},
        )
        for name, seen in arms.seen.items()
    }
    return Case(footage.name, rain, len(footage.images), arms.passed, scores)


def _overlap(area: str, seen: list[Seen], truth: Truth) -> Ratio:
    return overlap([one.areas[area] for one in seen], [known[area] for known in truth.areas])


def count_real(footage: Footage, derain: Derain, judges: Judges) -> Count:
    """Count what is seen in real rain; more need not be better."""
    arms = see_arms(footage.images, derain, judges)
    objects, areas = {}, {}
    for name, seen in arms.seen.items():
        sure = [one.objects.sure(judges.least_score) for one in seen]
        objects[name] = float(np.mean([len(found.classes) for found in sure]))
        areas[name] = {
            area: float(np.mean([one.areas[area] for one in seen])) for area in seen[0].areas
        }
    return Count(footage.name, len(footage.images), arms.passed, objects, areas)
