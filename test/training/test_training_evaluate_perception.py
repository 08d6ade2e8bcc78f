"""The script that lets detectors judge, with one that sees nothing through rain."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
import json
from pathlib import Path
import sys

from helpers.data import ROOT
from helpers.judges import write_model
from helpers.stills import scene, write_video
import numpy as np
from onnx import helper
from PIL import Image
import pytest

from training import evaluate_perception
from training.evaluate_perception import main
from training.scores.perception.footage import read_footage
from training.scores.perception.objects import load_detector

BOX = (10.0, 20.0, 50.0, 60.0)
DETECTOR = """
import numpy as np
from training.scores.perception.objects import Objects

def detect(image):
    count = int(image.max() <= 180)  # the scene has nothing brighter, rain has
    return Objects(boxes=np.full((count, 4), (10.0, 20.0, 50.0, 60.0)),
                   classes=['car'] * count, scores=np.full(count, 0.8))
"""


def derain(image: np.ndarray) -> np.ndarray:
    return scene()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., int]]:
    """Run the script in a folder with a detector; returns its exit status."""
    (tmp_path / 'my_detector.py').write_text(DETECTOR)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(evaluate_perception, 'open_derainer', lambda weights: nullcontext(derain))

    def with_arguments(*arguments: object) -> int:
        monkeypatch.setattr(
            sys, 'argv', ['evaluate_perception.py', '--weights', 'fast', *map(str, arguments)]
        )
        return main()

    yield with_arguments
    sys.modules.pop('my_detector', None)


def write_images(folder: Path, count: int = 4) -> Path:
    folder.mkdir()
    for index in range(count):
        Image.fromarray(scene()).save(folder / f'{index}.png')
    return folder


def write_labels(path: Path, files: list[str]) -> Path:
    """Label a car in each image, and a kite in the first, as COCO does."""
    left, top, right, bottom = BOX
    car = {'category_id': 3, 'bbox': [left, top, right - left, bottom - top], 'iscrowd': 0}
    kite = {'image_id': 0, 'category_id': 38, 'bbox': [80, 5, 8, 8]}
    labels = {
        'images': [{'id': index, 'file_name': f'left/{file}'} for index, file in enumerate(files)],
        'categories': [{'id': 3, 'name': 'car'}, {'id': 38, 'name': 'kite'}],
        'annotations': [car | {'image_id': index} for index in range(len(files))] + [kite],
    }
    path.write_text(json.dumps(labels))
    return path


def test_frames_are_spread_over_a_video_or_a_folder(tmp_path: Path) -> None:
    shades = np.arange(0, 200, 20, np.uint8)
    video = write_video(
        tmp_path / 'drive.mp4', np.full((10, 96, 128, 3), shades[:, None, None, None])
    )

    footage = read_footage(video, 5)

    assert [round(image.mean() / 20) for image in footage.images] == [0, 2, 4, 6, 8]
    assert len(read_footage(video, 99).images) == 10
    folder = write_images(tmp_path / 'images', 7)
    assert read_footage(folder, 3).files == ['0.png', '2.png', '4.png']


def test_the_script_writes_tables_json_and_a_picture(
    run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images, real = write_images(tmp_path / 'dry'), write_images(tmp_path / 'wet')
    files = [tmp_path / name for name in ('result.json', 'tables.md', 'picture.png')]
    outputs = [f'--{kind}={file}' for kind, file in zip(('json', 'markdown', 'picture'), files)]

    assert run('--detector', 'my_detector:detect', '--dry', images, '--real', real, *outputs) == 0

    printed = capsys.readouterr().out
    assert printed.strip() == files[1].read_text().strip()
    assert '| dry | heavy | 0.00 (0.00 to 0.00) | 1.00 (1.00 to 1.00) |' in printed
    assert '| dry | heavy | 4 | 4 | +1.00 (+1.00 to +1.00) |' in printed
    assert '| wet | 4 | raw | 1.00 |' in printed
    result = json.loads(files[0].read_text())
    heavy = next(case for case in result['cases'] if case['rain'] == 'heavy')
    assert heavy['arms']['raw']['f1']['all'] == {'value': 0.0, 'interval': [0.0, 0.0]}
    assert heavy['arms']['gated']['f1_gain_interval'] == [1.0, 1.0]
    assert heavy['arms']['raw']['f1']['large'] == {'value': None, 'interval': [None, None]}
    assert result['real'][0]['objects'] == {'raw': 1.0, 'de-rained': 1.0, 'gated': 1.0}
    assert Image.open(files[2]).size == (3 * 128, 96 + 28)


def test_real_rain_alone_is_only_counted(
    run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run('--detector', 'my_detector:detect', '--real', write_images(tmp_path / 'wet')) == 0

    titles = [line for line in capsys.readouterr().out.splitlines() if line.startswith('## ')]
    assert titles == [
        '## Real rain without truth: what is seen per frame; more need not be better'
    ]


def test_labels_stand_for_the_clean_frame(run: Callable[..., int], tmp_path: Path) -> None:
    images = write_images(tmp_path / 'wet', 2)
    labels = write_labels(tmp_path / 'labels.json', ['0.png', '1.png'])
    result = tmp_path / 'result.json'

    assert (
        run(
            *('--detector', 'my_detector:detect', '--real', images),
            *('--labels', labels, '--json', result),
        )
        == 0
    )

    (case,) = json.loads(result.read_text())['cases']
    assert case['rain'] == 'real'
    raw = case['arms']['raw']
    assert (raw['correct'], raw['found'], raw['known']) == (2, 2, 3)  # but not the kite
    assert 'clean' not in case['arms']


def test_the_detector_of_the_documentation_works(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    page = (ROOT / 'docs' / 'evaluation.md').read_text()
    (tmp_path / 'from_the_page.py').write_text(page.split('```python\n')[1].split('```')[0])
    boxes = np.array([[[64, 320, 128, 640, 0.9, 2], [0, 0, 640, 640, 0.1, 0]]], np.float32)
    write_model(
        tmp_path / 'yolo.onnx',
        [helper.make_node('Identity', ['boxes'], ['found'])],
        (640, 640),
        ['found'],
        boxes=boxes,
    )
    monkeypatch.chdir(tmp_path)

    objects = load_detector('from_the_page:detect')(scene())

    assert objects.classes == ['car', 'person']
    np.testing.assert_allclose(objects.boxes[0], [64 / 5, 48, 128 / 5, 96], rtol=1e-5)
    assert objects.sure(0.5).classes == ['car']


def test_what_cannot_be_judged_is_named(
    run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = write_images(tmp_path / 'wet', 2)
    labels = write_labels(tmp_path / 'labels.json', ['0.png'])
    broken = tmp_path / 'broken.json'
    broken.write_text('{"images": [{"id": "one"}]}')
    twice = write_labels(tmp_path / 'twice.json', ['0.png', '0.png'])
    detector = ('--detector', 'my_detector:detect', '--real', images)
    for arguments, message in (
        (('--real', images), 'no detector: give --judges FOLDER or --detector'),
        (('--detector', 'my_detector', '--real', images), 'give MODULE:FUNCTION'),
        (('--detector', 'no_such:detect', '--real', images), "No module named 'no_such'"),
        (('--detector', 'my_detector:find', '--real', images), "no attribute 'find'"),
        (('--judges', tmp_path, '--real', images), 'FastestDet.onnx: is missing'),
        (('--detector', 'my_detector:detect'), 'no dry frames: give --dry'),
        ((*detector, '--picture', 'a.png'), 'no dry frames: give --dry'),
        ((*detector, '--picture', 'a.tables'), 'a.tables: give a name that ends in .jpg'),
        ((*detector, '--frames', '0'), '--frames 0: give 1 or more'),
        ((*detector, '--labels', labels), "labels.json: has no image '1.png'"),
        ((*detector, '--labels', broken), 'broken.json: missing key: categories'),
        ((*detector, '--labels', twice), "twice.json: two images are called '0.png'"),
        ((*detector, '--labels', images), 'wet: not a readable JSON file'),
    ):
        assert run(*arguments) == 2, message
        error = capsys.readouterr().err
        assert message in error
        assert 'Traceback' not in error
