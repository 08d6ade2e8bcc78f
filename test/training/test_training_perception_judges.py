"""The models that judge: tiny ones with the same inputs and outputs, and the real ones."""

from itertools import islice
from pathlib import Path

from helpers.data import data_folder
from helpers.judges import write_model
import numpy as np
import onnx
from onnx import helper
import pytest

from derain_ros.errors import DataError, ModelError
from derain_ros.media.videos import video_frames
from training.scores.perception.judges import FastestDet, TwinLiteNet


@pytest.fixture
def detector(tmp_path: Path) -> FastestDet:
    """Return one of 2 x 2 cells and 2 classes, that finds something in the right ones."""
    cells = np.zeros((1, 7, 2, 2), np.float32)
    cells[0, :, 0, 1] = (0.81, 0.0, 0.5, 0.0, -1.0, 0.1, 0.64)
    cells[0, :, 1, 1] = (0.25, 0.0, -0.5, 0.0, -1.0, 0.25, 0.1)
    nothing = helper.make_node('Mul', ['mean', 'zero'], ['nothing'])
    mean = helper.make_node('ReduceMean', ['image'], ['mean'])
    add = helper.make_node('Add', ['cells', 'nothing'], ['found'])
    write_model(
        tmp_path / 'FastestDet.onnx',
        [mean, nothing, add],
        (32, 32),
        ['found'],
        cells=cells,
        zero=np.zeros(1, np.float32),
    )
    (tmp_path / 'coco.names').write_text('car\nmotorbike\n')
    return FastestDet(tmp_path)


def test_cells_become_boxes_of_the_image(detector: FastestDet) -> None:
    objects = detector(np.zeros((100, 200, 3), np.uint8))

    # the names are COCO's, whatever darknet calls them
    assert objects.classes == ['motorcycle', 'car']
    np.testing.assert_allclose(objects.scores, [0.81**0.6 * 0.64**0.4, 0.25], rtol=1e-5)
    # centre at cell + tanh, size the sigmoid, both in shares of the image
    height = 100 / (1 + np.e)
    middle = 100 * np.tanh(0.5) / 2
    expected = [50.0, middle - height / 2, 150.0, middle + height / 2]
    np.testing.assert_allclose(objects.boxes[0], expected, rtol=1e-5)


def test_a_double_is_found_once(detector: FastestDet, tmp_path: Path) -> None:
    model = onnx.load(tmp_path / 'FastestDet.onnx')
    cells = onnx.numpy_helper.to_array(model.graph.initializer[0]).copy()
    cells[0, :, 1, 1] = cells[0, :, 0, 1]
    cells[0, 2, :, 1] = (3.0, 0.0)  # both centres near the middle line
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(cells, 'cells'))
    onnx.save(model, tmp_path / 'FastestDet.onnx')

    assert len(FastestDet(tmp_path)(np.zeros((100, 200, 3), np.uint8)).classes) == 1


def test_areas_are_where_the_second_channel_wins(tmp_path: Path) -> None:
    # what is red is drivable, what is blue a lane
    grey = np.full((1, 1, 4, 8), 0.5, np.float32)
    split = helper.make_node('Split', ['image'], ['red', 'green', 'blue'], axis=1, num_outputs=3)
    nodes = [split] + [
        helper.make_node('Concat', ['grey', colour], [name], axis=1)
        for colour, name in (('red', 'da'), ('blue', 'll'))
    ]
    write_model(tmp_path / 'twinlitenet.onnx', nodes, (8, 4), ['da', 'll'], grey=grey)
    image = np.zeros((40, 80, 3), np.uint8)
    image[:, :40, 0], image[20:, :, 2] = 255, 255

    areas = TwinLiteNet(tmp_path)(image)

    assert areas['drivable area'].tolist() == [[True] * 4 + [False] * 4] * 4
    assert areas['lanes'].tolist() == [[False] * 8] * 2 + [[True] * 8] * 2


def test_judges_that_cannot_be_loaded_are_named(detector: FastestDet, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r'twinlitenet.onnx: is missing; name the folder'):
        TwinLiteNet(tmp_path)
    (tmp_path / 'twinlitenet.onnx').write_bytes(b'no model')
    with pytest.raises(ModelError, match=r'twinlitenet.onnx: cannot be loaded'):
        TwinLiteNet(tmp_path)
    (tmp_path / 'twinlitenet.onnx').write_bytes((tmp_path / 'FastestDet.onnx').read_bytes())
    with pytest.raises(ModelError, match=r'twinlitenet.onnx: is another model'):
        TwinLiteNet(tmp_path)
    (tmp_path / 'coco.names').unlink()
    with pytest.raises(DataError, match=r'coco.names: cannot be read'):
        FastestDet(tmp_path)


def test_real_judges_see_cars_and_the_road() -> None:
    folder, video = data_folder('perception'), data_folder('video/driving_clean.mp4')
    (frame,) = islice(video_frames(video), 1)

    objects = FastestDet(folder)(frame).sure(0.5)
    areas = TwinLiteNet(folder)(frame)

    assert 'car' in objects.classes
    assert (objects.boxes[:, 2:] > objects.boxes[:, :2]).all()
    # the road is below the horizon
    road = areas['drivable area']
    assert road[180:].mean() > 0.4
    assert road[:120].mean() < 0.01
    assert 0.0 < areas['lanes'].mean() < 0.1
