#!/usr/bin/env python3
r"""
Let a detector and a segmenter judge: what they see in rain, and in de-rained frames.

    python3 training/evaluate_perception.py --weights fast --judges DATA/perception \
        --dry drive.mp4 --real rainy/ --markdown perception.md --picture perception.jpg
    python3 training/evaluate_perception.py --weights fast --detector my_detector:detect \
        --real rainy/ --labels labels.json

Four arms: raw frames, always de-rained, de-rained where the node's gate finds rain, and clean.
Dry frames are scored as they are and in synthetic rain; what counts is what is seen in the dry
frame, or the labels. Real rain without labels is counted only.
"""

import argparse
from pathlib import Path
import sys

if not __package__:  # run as a file: lets this repository be imported
    import _root  # noqa: F401

from PIL import Image
from tqdm import tqdm

from derain_ros import Derainer
from derain_ros.errors import DataError
from derain_ros.files import write_atomically, write_json
from derain_ros.media.images import IMAGE_SUFFIXES
from training.commands import check_writable, command
from training.scores.evaluation import open_derainer
from training.scores.perception.arms import Judges
from training.scores.perception.cases import Case, Count, count_real, score_dry, score_labelled
from training.scores.perception.footage import Footage, read_footage
from training.scores.perception.judges import FastestDet, TwinLiteNet
from training.scores.perception.labels import Labels, read_labels
from training.scores.perception.objects import load_detector
from training.scores.perception.picture import picture
from training.scores.perception.rains import in_rain
from training.scores.perception.report import markdown, to_json

PICTURED = 'heavy'


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    add = parser.add_argument
    add('--weights', required=True, help='released name, safetensors file or ONNX file')
    add('--judges', type=Path, help='folder of FastestDet.onnx, coco.names and twinlitenet.onnx')
    add('--detector', metavar='MODULE:FUNCTION', help='another one; see docs/evaluation.md')
    add('--dry', type=Path, nargs='+', default=[], help='videos or folders without rain')
    add('--real', type=Path, nargs='+', default=[], help='videos or folders in real rain')
    add('--labels', type=Path, help='what is in all these images, JSON as COCO has it')
    add('--frames', type=int, default=24, help='of each, at most, spread evenly (%(default)s)')
    add('--score', type=float, default=0.5, help='from which a detection counts (%(default)s)')
    add('--json', type=Path, help='file to write the result to')
    add('--markdown', type=Path, help='file to write the tables to')
    add('--picture', type=Path, help=f'file for a picture of the first --dry in {PICTURED} rain')
    return parser.parse_args()


def check(arguments: argparse.Namespace) -> None:
    """Raise DataError where the arguments do not go together or a file cannot be written."""
    for path in (arguments.json, arguments.markdown, arguments.picture):
        if path:
            check_writable(path.parent)
    if arguments.picture and arguments.picture.suffix.lower() not in IMAGE_SUFFIXES:
        raise DataError(f'{arguments.picture}: give a name that ends in .jpg or .png')
    if not arguments.dry and (arguments.picture or not arguments.real):
        raise DataError('no dry frames: give --dry; without a picture --real will do')
    if arguments.frames < 1:
        raise DataError(f'--frames {arguments.frames}: give 1 or more')


def make_judges(arguments: argparse.Namespace) -> Judges:
    """Load who judges."""
    if not (arguments.judges or arguments.detector):
        raise DataError('no detector: give --judges FOLDER or --detector MODULE:FUNCTION')
    detector = (
        load_detector(arguments.detector) if arguments.detector else FastestDet(arguments.judges)
    )
    segmenter = TwinLiteNet(arguments.judges) if arguments.judges else None
    return Judges(detector, segmenter, arguments.score)


def score(
    derain: Derainer,
    judges: Judges,
    dry: list[Footage],
    real: list[Footage],
    labels: Labels | None,
) -> tuple[list[Case], list[Count]]:
    """Score all frames that are given."""
    cases: list[Case] = []
    counts: list[Count] = []
    with tqdm(unit='case') as progress:
        for footage in dry:
            for case in score_dry(footage, derain, judges, labels):
                cases.append(case)
                progress.update()
        for footage in real:
            if labels:
                cases.append(score_labelled(footage, derain, judges, labels))
            else:
                counts.append(count_real(footage, derain, judges))
            progress.update()
    return cases, counts


def draw(path: Path, footage: Footage, derain: Derainer, judges: Judges) -> None:
    """Write a picture of the middle frame: raw, de-rained and clean, with what is seen."""
    middle = len(footage.images) // 2
    clean = footage.images[middle]
    raw = in_rain(clean, PICTURED, middle)
    images = {'rain': raw, 'de-rained': derain(raw), 'clean': clean}
    Image.fromarray(picture(images, judges)).save(path, quality=90)


@command
def main() -> None:
    arguments = parse_arguments()
    check(arguments)
    judges = make_judges(arguments)
    labels = read_labels(arguments.labels) if arguments.labels else None
    dry, real = (
        [read_footage(path, arguments.frames) for path in paths]
        for paths in (arguments.dry, arguments.real)
    )
    if labels:
        for file in (file for footage in (*dry, *real) for file in footage.files):
            labels.of(file)  # what has none is named before long work
    with open_derainer(arguments.weights) as derain:
        cases, counts = score(derain, judges, dry, real, labels)
        if arguments.picture:
            draw(arguments.picture, dry[0], derain, judges)
    tables = markdown(arguments.weights, cases, counts, arguments.score)
    print(tables)
    if arguments.markdown:
        write_atomically(arguments.markdown, tables.encode())
    if arguments.json:
        write_json(arguments.json, to_json(cases, counts))


if __name__ == '__main__':
    sys.exit(main())
