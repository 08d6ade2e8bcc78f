"""Objects in an image, and the detectors that find them."""

from dataclasses import dataclass
import importlib
from pathlib import Path
import sys
from typing import Protocol

import numpy as np

from derain_ros.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Objects:
    """
    What a detector finds in an image, or what is known to be there.

    :param boxes: left, top, right, bottom in pixels of the image, float [N, 4].
    :param classes: N names; those of COCO where labels are COCO's.
    :param scores: N confidences, 0 to 1.
    :param crowd: indices of boxes round a crowd, where neither finding nor missing counts.
    :raises DataError: the lengths differ, a value is not finite, or a box ends before it begins.
    """

    boxes: np.ndarray
    classes: list[str]
    scores: np.ndarray
    crowd: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        count = len(self.classes)
        if self.boxes.shape != (count, 4) or self.scores.shape != (count,):
            raise DataError(
                f'{count} classes, boxes {self.boxes.shape} and scores {self.scores.shape} do not '
                f'fit together; give boxes [N, 4] and N of the others'
            )
        if not (np.isfinite(self.boxes).all() and np.isfinite(self.scores).all()):
            raise DataError('a box or a score is not finite; leave such objects out')
        if (self.boxes[:, 2:] < self.boxes[:, :2]).any():
            raise DataError('a box ends before it begins; give left, top, right, bottom')

    def sure(self, least_score: float) -> 'Objects':
        """Return the objects with at least this score."""
        kept = np.flatnonzero(self.scores >= least_score)
        return Objects(
            boxes=self.boxes[kept],
            classes=[self.classes[index] for index in kept],
            scores=self.scores[kept],
        )


class Detector(Protocol):
    """Something that finds objects, such as a function round a model of OpenVINO or ONNX."""

    def __call__(self, image: np.ndarray) -> Objects:
        """
        Find objects, unsure ones too, each once (after non-maximum suppression).

        :param image: uint8 RGB [H, W, 3], of any size.
        """


def load_detector(name: str) -> Detector:
    """
    Import a detector, from the working directory too.

    :param name: ``module:function``; the function, or object, is the detector itself.
    :raises DataError: there is no such module or function.
    """
    module, separator, function = name.partition(':')
    if not (module and separator and function):
        raise DataError(f"detector '{name}': give MODULE:FUNCTION, such as my_detector:detect")
    sys.path.insert(0, str(Path.cwd()))
    try:
        detector: Detector = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise DataError(
            f"detector '{name}': cannot be imported ({error}); run this where {module}.py is, or "
            'set PYTHONPATH'
        ) from error
    finally:
        sys.path.pop(0)
    return detector
