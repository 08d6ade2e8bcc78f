"""
The two models that judge by default; both are made by others and were trained on dry scenes.

FastestDet finds the objects of COCO (https://github.com/dog-qiuqiu/FastestDet, BSD-3).
TwinLiteNet marks the drivable area and the lanes (https://github.com/chequanghuy/TwinLiteNet,
MIT). Neither comes with this project.
"""

from pathlib import Path

import cv2
import numpy as np
import openvino

from derain_ros.errors import DataError, ModelError
from training.scores.perception.objects import Objects

# to be found at all; where true and false ones are told apart is up to the scores
LEAST_SCORE = 0.05
LARGEST_OVERLAP = 0.45  # IoU of two boxes of one class, as the authors have it
# darknet's names, which FastestDet has, to COCO's
COCO_NAMES = {
    'motorbike': 'motorcycle',
    'aeroplane': 'airplane',
    'sofa': 'couch',
    'pottedplant': 'potted plant',
    'diningtable': 'dining table',
    'tvmonitor': 'tv',
}


class FastestDet:
    """Finds the 80 classes of COCO in an image scaled to the 352 x 352 pixels of the model."""

    def __init__(self, folder: Path) -> None:
        """
        Load FastestDet.onnx, and the names of its classes from coco.names.

        :raises ModelError: the model is missing, damaged or another one.
        :raises DataError: the names cannot be read.
        """
        self._model, self._size = _compiled(folder / 'FastestDet.onnx', outputs=1)
        try:
            names = (folder / 'coco.names').read_text(encoding='utf-8').splitlines()
        except (OSError, ValueError) as error:
            raise DataError(f'{folder / "coco.names"}: cannot be read ({error})') from error
        self._names = [COCO_NAMES.get(name, name) for name in names]

    def __call__(self, image: np.ndarray) -> Objects:
        """Find the objects in uint8 RGB [H, W, 3]."""
        cells = self._model(_tensor(image[..., ::-1], self._size))[0][0].astype(np.float64)
        boxes, labels, scores = _decoded(cells)
        height, width = image.shape[:2]
        boxes *= (width, height, width, height)
        corners_and_sizes = np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]])
        best = cv2.dnn.NMSBoxesBatched(
            corners_and_sizes.tolist(),
            scores.tolist(),
            labels.tolist(),
            LEAST_SCORE,
            LARGEST_OVERLAP,
        )
        kept = np.asarray(best, int)
        return Objects(
            boxes=boxes[kept],
            classes=[self._names[label] for label in labels[kept]],
            scores=scores[kept],
        )


def _decoded(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    Return the box of every cell [N, 4] in shares of the image, its class [N] and score [N].

    :param cells: float [5 + classes, rows, columns]: objectness, four numbers of the box, classes.
    """
    rows, columns = np.indices(cells.shape[1:])
    labels = cells[5:].argmax(axis=0)
    scores = cells[0] ** 0.6 * cells[5:].max(axis=0) ** 0.4
    x = (columns + np.tanh(cells[1])) / cells.shape[2]
    y = (rows + np.tanh(cells[2])) / cells.shape[1]
    width, height = 1 / (1 + np.exp(-cells[3:5]))
    boxes = np.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], axis=-1)
    return boxes.reshape(-1, 4), labels.ravel(), scores.ravel()


class TwinLiteNet:
    """Marks where one may drive, and the lanes, at the 640 x 360 pixels of the model."""

    def __init__(self, folder: Path) -> None:
        """
        Load twinlitenet.onnx.

        :raises ModelError: it is missing, damaged or another one.
        """
        self._model, self._size = _compiled(folder / 'twinlitenet.onnx', outputs=2)

    def __call__(self, image: np.ndarray) -> dict[str, np.ndarray]:
        """Return a mask for each area, bool [360, 640], of uint8 RGB [H, W, 3]."""
        outputs = self._model(_tensor(image, self._size))
        return {
            name: outputs[index][0, 1] > outputs[index][0, 0]
            for index, name in enumerate(('drivable area', 'lanes'))
        }


def _compiled(path: Path, outputs: int) -> tuple[openvino.CompiledModel, tuple[int, int]]:
    """Load a model of one image, [1, 3, H, W], and return it with the (W, H) that it takes."""
    if not path.is_file():
        raise ModelError(f'{path}: is missing; name the folder that holds it with --judges')
    try:
        core = openvino.Core()
        # float32, so that a judge finds the same on every CPU
        model = core.compile_model(path, 'CPU', {'INFERENCE_PRECISION_HINT': 'f32'})
        _, channels, height, width = model.input(0).shape
    except (RuntimeError, ValueError) as error:
        raise ModelError(f'{path}: cannot be loaded ({error}); fetch it again') from error
    if channels != 3 or len(model.outputs) != outputs:
        raise ModelError(f'{path}: is another model than that of its name; fetch it again')
    return model, (width, height)


def _tensor(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Scale uint8 [H, W, 3] to (W, H) of a model: float32 [1, 3, H, W] in [0, 1]."""
    scaled = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    return scaled.transpose(2, 0, 1)[None].astype(np.float32) / 255
