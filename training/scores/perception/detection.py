"""F1 and mAP of detections, matched by COCO's rules (pycocotools)."""

from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from copy import copy
from dataclasses import dataclass
from io import StringIO

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from training.scores.perception.objects import Objects
from training.scores.perception.ratios import interval, Ratio

# by the area of the box: below 32², to 96², and above, in pixels of the frame
SIZES = ('all', 'small', 'medium', 'large')
# resampling of mAP takes a hundred times as long as that of F1
MAP_DRAWS = 200


@dataclass(frozen=True, kw_only=True)
class DetectionScore:
    """
    How well objects are found.

    :param f1: at the stated score and an IoU of 0.5, by size.
    :param correct, found, known: objects found where there is one, found, and to be found.
    :param mean_precision, mean_precision_50: COCO's mAP, over IoU 0.5 to 0.95, and at 0.5; NaN
        where there is nothing to find.
    :param interval: 95 % of ``mean_precision`` over frames drawn with replacement.
    """

    f1: dict[str, Ratio]
    correct: int
    found: int
    known: int
    mean_precision: float
    mean_precision_50: float
    interval: tuple[float, float]


def score_detections(
    found: Sequence[Objects],
    known: Sequence[Objects],
    least_score: float,
    classes: Sequence[str] | None = None,
) -> DetectionScore:
    """
    Compare what was found in each frame with what is known to be there.

    :param least_score: of the detections that count for F1; mAP takes all of them.
    :param classes: to score, such as those that were labelled; none: all that are in either.
    """
    names = sorted(classes or {name for frame in (*found, *known) for name in frame.classes})
    # what it prints is for its own users
    with redirect_stdout(StringIO()):
        evaluator = COCOeval(_dataset(known, names), _dataset(found, names), 'bbox')
        evaluator.evaluate()
        counts = _counts(evaluator, least_score)
        evaluator.accumulate()
        draws = [_mean_precision(_drawn(evaluator, rows)) for rows in _rows(len(known))]
    correct, wrong, missed = counts.transpose(2, 0, 1)  # each [sizes, frames]
    f1 = [Ratio(2 * c, 2 * c + w + m) for c, w, m in zip(correct, wrong, missed)]
    return DetectionScore(
        f1=dict(zip(SIZES, f1)),
        correct=int(correct[0].sum()),
        found=int((correct + wrong)[0].sum()),
        known=int((correct + missed)[0].sum()),
        mean_precision=_mean_precision(evaluator),
        mean_precision_50=_mean_precision(evaluator, thresholds=slice(1)),
        interval=interval(np.array(draws)),
    )


def _dataset(frames: Sequence[Objects], names: list[str]) -> COCO:
    """Return objects as pycocotools has them; the ids of images are the indices of frames."""
    annotations: list[dict] = []
    for frame, objects in enumerate(frames):
        for index, (box, name) in enumerate(zip(objects.boxes.tolist(), objects.classes)):
            if name in names:
                left, top, right, bottom = box
                annotations.append(
                    {
                        'id': len(annotations) + 1,  # 0 would be taken for no match
                        'image_id': frame,
                        'category_id': names.index(name),
                        'bbox': [left, top, right - left, bottom - top],
                        'area': (right - left) * (bottom - top),
                        'score': float(objects.scores[index]),
                        'iscrowd': int(index in objects.crowd),
                    }
                )
    coco = COCO()
    coco.dataset = {
        'images': [{'id': frame} for frame in range(len(frames))],
        'categories': [{'id': index, 'name': name} for index, name in enumerate(names)],
        'annotations': annotations,
    }
    coco.createIndex()
    return coco


def _counts(evaluator: COCOeval, least_score: float) -> np.ndarray:
    """Return objects found rightly, wrongly and not at all, float [sizes, frames, 3]."""
    areas = [list(area) for area in evaluator.params.areaRng]
    counts = np.zeros((len(areas), len(evaluator.params.imgIds), 3))
    for matches in evaluator.evalImgs:
        if matches is None:  # nothing of this class in this frame
            continue
        counted = (np.array(matches['dtScores']) >= least_score) & ~matches['dtIgnore'][0]
        right = int((counted & (matches['dtMatches'][0] > 0)).sum())
        there = int((np.array(matches['gtIgnore']) == 0).sum())
        row = counts[areas.index(list(matches['aRng'])), matches['image_id']]
        row += right, int(counted.sum()) - right, there - right
    return counts


def _mean_precision(evaluator: COCOeval, thresholds: slice = slice(None)) -> float:
    """Return the mean precision over thresholds of IoU, recalls and classes, of all sizes."""
    precision = evaluator.eval['precision'][thresholds, :, :, 0, -1]
    known = precision[precision > -1]  # -1: there is none of this class
    return float(known.mean()) if known.size else float('nan')


def _rows(frames: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(0)
    for _ in range(MAP_DRAWS):
        yield rng.integers(frames, size=frames)


def _drawn(evaluator: COCOeval, rows: np.ndarray) -> COCOeval:
    """Return the evaluation of frames drawn with replacement, all sizes together."""
    frames, sizes = len(rows), len(evaluator.params.areaRng)
    drawn = copy(evaluator)
    drawn.params, drawn._paramsEval = copy(evaluator.params), copy(evaluator.params)
    for params in (drawn.params, drawn._paramsEval):
        params.areaRng, params.maxDets = params.areaRng[:1], params.maxDets[-1:]
    starts = range(0, len(evaluator.evalImgs), sizes * frames)  # of the classes, all sizes first
    drawn.evalImgs = [evaluator.evalImgs[start + row] for start in starts for row in rows]
    drawn.accumulate()
    return drawn
