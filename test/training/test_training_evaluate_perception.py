"""Frames in rain, de-rained and gated, before judges that see nothing through rain."""

from collections.abc import Callable
from contextlib import nullcontext
import json
from pathlib import Path
import sys

from helpers.data import data_folder, ROOT
from helpers.judges import write_model
from helpers.stills import scene, write_video
import numpy as np
from onnx import helper
from PIL import Image
import pytest

from training import evaluate_perception
from training.evaluate_perception import main
from training.scores.evaluation import open_derainer
from training.scores.perception.arms import Judges, let_through
from training.scores.perception.cases import score_dry
from training.scores.perception.detection import score_detections
from training.scores.perception.footage import Footage, read_footage
from training.scores.perception.judges import FastestDet, TwinLiteNet
from training.scores.perception.objects import load_detector, Objects
from training.scores.perception.rains import in_rain, RAINS
from training.scores.perception.ratios import overlap

BOX = (10.0, 20.0, 50.0, 60.0)
DETECTOR = """
import numpy as np
from training.scores.perception.judges import FastestDet, TwinLiteNet
from training.scores.perception.objects import Objects

def detect(image):
    count = int(image.max() <= 180)  # the scene has nothing brighter, rain has
    return Objects(boxes=np.full((count, 4), (10.0, 20.0, 50.0, 60.0)),
                   classes=['car'] * count, scores=np.full(count, 0.8))
"""


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


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
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
    assert '| dry | heavy | 4 | 0.00 (0.00 to 0.00) | 1.00 (1.00 to 1.00) |' in printed
    assert '| wet | 4 | raw | 1.00 |' in printed
    result = json.loads(files[0].read_text())
    heavy = next(case for case in result['cases'] if case['rain'] == 'heavy')
    assert heavy['arms']['raw']['f1']['all'] == {'value': 0.0, 'interval': [0.0, 0.0]}
    assert heavy['arms']['gated']['f1_gain_interval'] == [1.0, 1.0]
    assert heavy['arms']['raw']['f1']['large'] == {'value': None, 'interval': [None, None]}
    assert result['real'][0]['objects'] == {'raw': 1.0, 'de-rained': 1.0, 'gated': 1.0}
    assert Image.open(files[2]).size == (3 * 128, 96 + 28)


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
