#!/usr/bin/env python3
"""
Find the thresholds of the rain gate for a network, and how often the gate is wrong with them.

    python3 training/calibrate_gate.py --weights fast --data DATA --json gate.json

Thresholds are chosen on the first half of the scenes of each kind, and judged on the second; they
belong into derain_ros/stream/gate.py. On the way it measures what the parameter max_change costs.
"""

import argparse
from pathlib import Path
import sys

if not __package__:  # run as a file: lets this repository be imported
    import _root  # noqa: F401

import numpy as np

from derain_ros.files import write_json
from training.commands import check_writable, command
from training.data.weather import read_kinds
from training.scores.bypass import BOUNDS, measure, Numbers
from training.scores.drives import choose, Drive, drives, Thresholds
from training.scores.evaluation import open_derainer


def row(numbers: Numbers, thresholds: Thresholds) -> dict:
    """Return what is said of one kind; shares are of its scenes."""
    after_dry, after_rain = (numbers.wrong(threshold) for threshold in thresholds)
    gains = numbers.gain_db
    return {
        'kind': numbers.kind.name,
        'weather': 'rain' if numbers.kind.is_rainy else 'dry',
        'scenes': len(numbers.rain),
        'rain_number': [float(value) for value in np.quantile(numbers.rain, (0.05, 0.5, 0.95))],
        'gain_db': None if gains is None else float(gains.mean()),
        'wrong_after_dry': float(after_dry.mean()),
        'wrong_after_rain': float(after_rain.mean()),
        'lost_db': None if gains is None else float((gains * after_dry).mean()),
    }


def rates_table(rows: list[dict]) -> str:
    """Return a Markdown table with a line for each kind."""
    lines = [
        '| scenes | number | rain number: 5 %, median, 95 % | gain | wrong, after dry weather '
        '| wrong, after rain | lost |',
        '|---' * 7 + '|',
    ]
    for weather, mistake in (('rain', 'passed'), ('dry', 'de-rained')):
        lines.append(f'| **{weather}** | | | | *{mistake}* | *{mistake}* | |')
        lines += [
            f'| {one["kind"]} | {one["scenes"]} '
            f'| {" ".join(f"{value:.4f}" for value in one["rain_number"])} '
            f'| {_decibels(one["gain_db"])} | {one["wrong_after_dry"]:.0%} '
            f'| {one["wrong_after_rain"]:.0%} | {_decibels(one["lost_db"])} |'
            for one in rows
            if one['weather'] == weather
        ]
    return '\n'.join(lines)


def _decibels(value: float | None) -> str:
    return '' if value is None else f'{value:.2f} dB'


def drives_table(rows: dict[str, Drive]) -> str:
    """Return a Markdown table with a line for each drive."""
    lines = [
        '| dry; rain; dry again | rainy images passed | gain lost | dry images de-rained '
        '| awake after |',
        '|---' * 5 + '|',
    ]
    lines += [
        f'| {name} | {one.passed:.0%} | {one.lost:.0%} | {one.derained:.0%} '
        f'| {"never" if one.passed == 1.0 else f"{one.woke_s:.1f} s"} |'
        for name, one in rows.items()
    ]
    return '\n'.join(lines)


def bounds_table(lost_db: dict[str, dict[int, float]]) -> str:
    """Return a Markdown table of what max_change costs."""
    lines = [
        f'| max_change | {" | ".join(map(str, BOUNDS))} |',
        '|---' * (1 + len(BOUNDS)) + '|',
    ]
    lines += [
        f'| {name} | {" | ".join(f"{loss:.2f} dB" for loss in losses.values())} |'
        for name, losses in lost_db.items()
    ]
    return '\n'.join(lines)


def report(kinds: list[Numbers]) -> dict:
    """Choose thresholds, print every table, and return what --json writes."""
    thresholds = choose([numbers.half(0) for numbers in kinds])
    held_out = [numbers.half(1) for numbers in kinds]
    rows = [row(numbers, thresholds) for numbers in held_out]
    driven = drives(held_out, thresholds)
    lost_db = {
        numbers.kind.name: dict(zip(BOUNDS, numbers.bounded_db.mean(axis=0).tolist(), strict=True))
        for numbers in kinds
        if numbers.bounded_db is not None
    }
    print(rates_table(rows), drives_table(driven), bounds_table(lost_db), sep='\n\n')
    print(f'\nderain_ros/stream/gate.py: RAINING, DRY = {thresholds.raining}, {thresholds.dry}')
    return {
        'thresholds': thresholds._asdict(),
        'kinds': rows,
        'drives': {name: one._asdict() for name, one in driven.items()},
        'max_change_lost_db': lost_db,
    }


@command
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument(
        '--weights', required=True, help='released name, safetensors file or ONNX file'
    )
    parser.add_argument('--data', type=Path, required=True, help='folder with all kinds of scenes')
    parser.add_argument(
        '--most', type=int, default=40, help='scenes of one folder or video (default: %(default)s)'
    )
    parser.add_argument('--json', type=Path, help='file to write the result to')
    arguments = parser.parse_args()
    if arguments.json:
        check_writable(arguments.json.parent)
    with open_derainer(arguments.weights) as derain:
        kinds = [measure(derain, kind) for kind in read_kinds(arguments.data, arguments.most)]
    result = report(kinds)
    if arguments.json:
        write_json(arguments.json, result)


if __name__ == '__main__':
    sys.exit(main())
