#!/usr/bin/env python3
"""
The log of a run, as a table and a picture.

    python3 training/history.py runs/fast --csv fast.csv --plot fast.svg
"""

import argparse
import csv
from io import StringIO
import math
from pathlib import Path
import sys

if not __package__:  # run as a file: lets this repository be imported
    import _root  # noqa: F401

from matplotlib import rc_context
from matplotlib.figure import Figure
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from derain_ros.errors import DataError
from derain_ros.files import write_atomically
from training.commands import command

LOSS, SCORE = 'loss/', 'psnr_y/'
# of a curve in the picture, so that it is small enough for a page; the table has every value
MOST_POINTS = 200


def read_history(run: Path) -> dict[str, dict[int, float]]:
    """
    Read every scalar that a run wrote to TensorBoard: name to step to value.

    Where an interrupted run went over the same steps twice, the later value counts.

    :raises DataError: the run has written nothing.
    """
    names, folder = [], run / 'tensorboard'
    if folder.is_dir():
        events = EventAccumulator(str(folder), size_guidance={'scalars': 0})
        events.Reload()
        names = events.Tags()['scalars']
    if not names:
        raise DataError(f'{run}: has no TensorBoard log; name the --out of a training')
    return {name: {event.step: event.value for event in events.Scalars(name)} for name in names}


def write_csv(history: dict[str, dict[int, float]], path: Path) -> None:
    """Write a row for each step that something is known of, and a column for each scalar."""
    names = sorted(history)
    table = StringIO()
    writer = csv.writer(table)
    writer.writerow(['step', *names])
    for step in sorted(set().union(*history.values())):
        cells = [history[name].get(step) for name in names]
        writer.writerow([step, *('' if cell is None else f'{cell:.6g}' for cell in cells)])
    write_atomically(path, table.getvalue().encode())


def thinned(values: dict[int, float]) -> dict[int, float]:
    """Return at most MOST_POINTS values: each the mean of neighbours, at the last step of them."""
    points = sorted(values.items())
    width = math.ceil(len(points) / MOST_POINTS)
    groups = [points[start : start + width] for start in range(0, len(points), width)]
    return {group[-1][0]: sum(value for _, value in group) / len(group) for group in groups}


def plot(history: dict[str, dict[int, float]], path: Path) -> None:
    """
    Draw the losses (logarithmic, thinned) above the validation scores.

    :raises DataError: the suffix of the file is of no format that matplotlib knows.
    """
    figure = Figure(figsize=(8, 6), layout='constrained')
    losses, scores = figure.subplots(2, sharex=True)
    for axes, prefix in ((losses, LOSS), (scores, SCORE)):
        for name in sorted(history):
            if name.startswith(prefix) and any(history[name].values()):
                axes.plot(
                    *zip(*thinned(history[name]).items()),
                    label=name.removeprefix(prefix),
                    linewidth=0.8,
                    marker='.' if prefix == SCORE else None,
                )
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend()
    losses.set(ylabel='loss', yscale='log')
    scores.set(ylabel='PSNR (Y), dB', xlabel='step')
    try:
        with rc_context({'svg.fonttype': 'none'}):  # text as text, not as outlines
            figure.savefig(path)
    except ValueError as error:
        raise DataError(f'{path}: {error}') from error


@command
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('run', type=Path, help='the --out of a training')
    parser.add_argument('--csv', type=Path, required=True, help='table to write')
    parser.add_argument('--plot', type=Path, required=True, help='picture to write: .svg, .png')
    arguments = parser.parse_args()
    history = read_history(arguments.run)
    # first the picture: matplotlib refuses formats that it does not know
    plot(history, arguments.plot)
    write_csv(history, arguments.csv)


if __name__ == '__main__':
    sys.exit(main())
