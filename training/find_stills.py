#!/usr/bin/env python3
"""
Find where the camera of a video or bag stands still, and show what training would take from it.

    python3 training/find_stills.py DATA/rainy_drive --show stills

Look at the pictures: a frame, the median, and four times the rain layer. What is no good, such as
one with a moving crowd, goes by its number into the experiment, under ``reject``. The numbers are
those of the topics, the start and the stop that are given here.
"""

import argparse
from pathlib import Path
import sys

if not __package__:  # run as a file: lets this repository be imported
    import _root  # noqa: F401

import numpy as np
from PIL import Image

from training.commands import check_writable, command
from training.configuration import StillRecording
from training.data.recordings import read_stills
from training.data.stills import real_layer, Still
from training.scores.stills import noise_floor


def picture(still: Still) -> np.ndarray:
    """Return the middle frame, the median and the rain layer side by side, uint8 [H, 3 W, 3]."""
    middle = len(still.frames) // 2
    layer = np.rint(np.minimum(4 * real_layer(still, middle), 1.0) * 255).astype(np.uint8)
    return np.hstack([still.frames[middle], still.median, np.dstack([layer] * 3)])


def line(number: int, still: Still) -> str:
    """Return what is known of a still, on one line."""
    layers = [real_layer(still, index) for index in range(len(still.frames))]
    rain = float(np.mean([(layer > 0).mean() for layer in layers]))
    return (
        f'{number:4}  {still.name:40}  static {still.static.mean():4.0%}  '
        f'rain on {rain:.1%}  floor {noise_floor(still):.1f} dB'
    )


@command
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('recording', type=Path, help='video, or bag')
    parser.add_argument('--topics', nargs='+', default=[], help='of a bag (all image topics)')
    parser.add_argument('--start', type=float, default=0.0, help='seconds from the first image')
    parser.add_argument('--stop', type=float, help='seconds from the first image; to the end')
    parser.add_argument('--show', type=Path, help='folder to write a picture of each to')
    arguments = parser.parse_args()
    if arguments.show:
        check_writable(arguments.show)
    recording = StillRecording(
        path=str(arguments.recording),
        topics=arguments.topics,
        start=arguments.start,
        stop=arguments.stop,
    )
    for number, still in enumerate(read_stills(recording, Path())):
        print(line(number, still))
        if arguments.show:
            path = arguments.show / f'{arguments.recording.stem}-{number:04}.jpg'
            Image.fromarray(picture(still)).save(path, quality=90)


if __name__ == '__main__':
    sys.exit(main())
