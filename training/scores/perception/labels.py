"""Labels of objects in the JSON format of COCO."""

from dataclasses import dataclass, field
import json
from pathlib import Path

import numpy as np
from pydantic.dataclasses import dataclass as checked

from derain_ros.errors import DataError
from training.scores.perception.objects import Objects
from training.yaml_files import parse


@checked(kw_only=True)
class _Image:
    id: int
    file_name: str


@checked(kw_only=True)
class _Category:
    id: int
    name: str


@checked(kw_only=True)
class _Annotation:
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    iscrowd: bool = False


@checked(kw_only=True)
class _File:
    images: list[_Image]
    categories: list[_Category]
    annotations: list[_Annotation] = field(default_factory=list)


@dataclass(frozen=True)
class Labels:
    """
    What is known to be in images.

    :param classes: that are labelled; what else a detector finds is not scored.
    :param objects: by the name of the image's file, without folders.
    """

    path: Path
    classes: list[str]
    objects: dict[str, Objects]

    def of(self, file: str) -> Objects:
        """
        Return the objects in an image.

        :raises DataError: it has no labels.
        """
        if file not in self.objects:
            raise DataError(
                f"{self.path}: has no image '{file}'; give folders of labelled images alone"
            )
        return self.objects[file]


def read_labels(path: Path) -> Labels:
    """
    Read labels: ``images``, ``categories`` and ``annotations`` with a ``bbox``, as COCO has them.

    :raises DataError: the file cannot be read, or two images have one name.
    :raises ConfigError: a key is missing or its value of another type.
    """
    try:
        values = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f'{path}: not a readable JSON file ({error})') from error
    file = parse(_File, values, str(path))
    names = {category.id: category.name for category in file.categories}
    of_image: dict[int, list[_Annotation]] = {image.id: [] for image in file.images}
    for annotation in file.annotations:
        if annotation.category_id not in names or annotation.image_id not in of_image:
            raise DataError(
                f'{path}: an annotation is of image {annotation.image_id} and category '
                f'{annotation.category_id}, which are not both in the file; complete it'
            )
        of_image[annotation.image_id].append(annotation)
    objects: dict[str, Objects] = {}
    for image in file.images:
        name = Path(image.file_name).name
        if name in objects:
            raise DataError(f"{path}: two images are called '{name}'; rename one of them")
        objects[name] = _objects(of_image[image.id], names)
    return Labels(path, sorted(set(names.values())), objects)


def _objects(annotations: list[_Annotation], names: dict[int, str]) -> Objects:
    # left, top, width, height
    boxes = np.array([annotation.bbox for annotation in annotations], float).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return Objects(
        boxes=boxes,
        classes=[names[annotation.category_id] for annotation in annotations],
        scores=np.ones(len(annotations)),
        crowd=frozenset(np.flatnonzero([annotation.iscrowd for annotation in annotations])),
    )
