#!/usr/bin/env python3
"""
Score a network on a video without a truth: rain removed, flicker, change.

    python3 training/evaluate_video.py --weights fast --video rain.mp4
    python3 training/evaluate_video.py --weights fast --video frames/ --json video.json

In rain, the streak energy should fall. Without rain, the image should not change, and the output
should not flicker more than the input.
"""

import argparse
from collections.abc import Iterator
import math
from pathlib import Path
import sys

if not __package__:  # run as a file: lets this repository be imported
    import _root  # noqa: F401

import cv2
import numpy as np

from derain_ros.errors import DataError
from derain_ros.files import write_json
from derain_ros.media.images import image_files, read_image, VIDEO_SUFFIXES
from derain_ros.media.videos import video_frames
from training.commands import check_writable, command
from training.scores.evaluation import Derain, none_for_infinite, open_derainer
from training.scores.metrics import luma

WIDEST_STREAK_PX = 9


def frames(path: Path) -> Iterator[np.ndarray]:
    """
    Read every frame of a video, or of a folder of images, uint8 RGB [H, W, 3].

    :raises DataError: it is missing, empty or unreadable, or its images differ in size.
    """
    return (video_frames if path.suffix.lower() in VIDEO_SUFFIXES else _equal_images)(path)


def _equal_images(folder: Path) -> Iterator[np.ndarray]:
    first = None
    for path in image_files(folder):
        image = read_image(path)
        first = image.shape if first is None else first
        if image.shape != first:
            raise DataError(
                f'{path}: {image.shape[1]}x{image.shape[0]}, but the first is '
                f'{first[1]}x{first[0]}; the frames of a video are of one size'
            )
        yield image


def streak_energy(image: np.ndarray) -> float:
    """
    Return the mean square of bright detail narrower across than WIDEST_STREAK_PX pixels.

    A white top-hat of the luma with a horizontal line; rain falls steeply, and brightens
    (*inferred*: no published form). Thin upright things count too: compare, do not add up.

    :param image: uint8 RGB [H, W, 3].
    :returns: squared grey levels, 0 or more.
    """
    line = np.ones((1, WIDEST_STREAK_PX), np.uint8)
    return float(np.mean(cv2.morphologyEx(luma(image), cv2.MORPH_TOPHAT, line).astype(float) ** 2))


def mean_difference(one: np.ndarray, other: np.ndarray) -> float:
    """Return the mean absolute difference of two images of one shape, in grey levels."""
    return float(np.mean(cv2.absdiff(one, other)))


def evaluate_video(derain: Derain, video: Iterator[np.ndarray]) -> dict[str, float]:
    """
    De-rain a video, frame by frame.

    :param derain: a ``Derainer`` of RGB images, or another function of uint8 [H, W, 3].
    :returns: ``frames``; ``streak_energy``, after relative to before, over all frames;
        ``frames_with_less``, the share of frames in which it fell; ``flicker``, the mean
        difference of successive frames, after relative to before; ``change``, in grey levels.
    """
    energies, flickers, changes = [], [], []
    last: tuple[np.ndarray, np.ndarray] | None = None
    for frame in video:
        output = derain(frame)
        energies.append((streak_energy(frame), streak_energy(output)))
        changes.append(mean_difference(frame, output))
        if last is not None:
            flickers.append([mean_difference(*two) for two in zip(last, (frame, output))])
        last = frame, output
    return {
        'frames': len(energies),
        'streak_energy': _relative(energies),
        'frames_with_less': float(np.mean([after < before for before, after in energies])),
        'flicker': _relative(flickers),
        'change': float(np.mean(changes)),
    }


def _relative(before_after: list) -> float:
    """Return the sum after by the sum before; 1 where both are 0, and infinite where it was 0."""
    before, after = np.sum(before_after, axis=0) if before_after else (0.0, 0.0)
    if before == after:
        return 1.0
    return float(after / before) if before > 0 else math.inf


@command
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument(
        '--weights', required=True, help='released name, safetensors file or ONNX file'
    )
    parser.add_argument('--video', type=Path, required=True, help='video, or folder of frames')
    parser.add_argument('--json', type=Path, help='file to write the result to')
    arguments = parser.parse_args()
    if arguments.json:
        check_writable(arguments.json.parent)
    with open_derainer(arguments.weights) as derain:
        result = evaluate_video(derain, frames(arguments.video))
    if arguments.json:
        write_json(arguments.json, none_for_infinite(result))
    print(
        '{frames} frames: streak energy {streak_energy:.3f} of what it was, less in '
        '{frames_with_less:.0%}; flicker {flicker:.3f} of what it was; '
        'pixels change by {change:.2f} grey levels'.format(**result)
    )


if __name__ == '__main__':
    sys.exit(main())
