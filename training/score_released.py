#!/usr/bin/env python3
"""
Score the released models on held-out pairs, and write the tables of the documentation anew.

    python3 training/score_released.py --data DATA

The tables of README.md and docs/results.md lie between two comments, which stay.
"""

import argparse
from pathlib import Path
import re
import sys
from typing import NamedTuple

if not __package__:  # run as a file: lets this repository be imported
    import _root  # noqa: F401

from derain_ros.errors import DataError
from derain_ros.files import write_atomically
from derain_ros.model.released import released_names
from training.commands import command
from training.data.pairs import VALIDATION
from training.data.scenes import numbered, read_scenes, Scene
from training.scores.evaluation import evaluate, open_derainer, summarize

ROOT = Path(__file__).resolve().parents[1]
SETS = {
    'rain_light': 'light rain (training half of Rain100L)',
    'rain_heavy': 'heavy rain (Rain100H family)',
    'rain_mixed': 'mixed rain (from Rain800)',
}
# of the README; the first runs in a car
HEADLINE = ('fast', 'fast-light', 'fast-heavy')
BLOCK = re.compile(r'(<!-- scores: .*?-->\n).*?(<!-- end of scores -->)', re.DOTALL)


class Row(NamedTuple):
    """What a model scores on a set; ``before`` and ``after`` as ``metrics.scores`` has them."""

    model: str
    data: str
    before: dict[str, float]
    after: dict[str, float]


def sets_of(model: str) -> list[str]:
    """Return the sets that a model is for: the one that its name ends in, or all."""
    kind = f'rain_{model.rpartition("-")[2]}'
    return [kind] if kind in SETS else list(SETS)


def score(model: str, scenes: dict[str, list[Scene]]) -> list[Row]:
    """Return a row for each set that a released model is for."""
    rows = []
    with open_derainer(model) as derain:
        for data in sets_of(model):
            result = summarize([row for _, _, row in evaluate(derain, scenes[data])])
            rows.append(Row(model, data, result['input'], result['mean']))
    return rows


def full_table(rows: list[Row]) -> str:
    """Return PSNR / SSIM of every row, in both protocols, in Markdown."""

    def both(scores: dict[str, float], kind: str) -> str:
        return f'{scores[f"psnr_{kind}"]:.2f} / {scores[f"ssim_{kind}"]:.3f}'.replace(' 0.', ' .')

    lines = [
        '| | weights | input Y | output Y | input RGB | output RGB |',
        '|---|---|---|---|---|---|',
    ]
    for row in rows:
        cells = [both(scores, kind) for kind in ('y', 'rgb') for scores in (row.before, row.after)]
        lines.append(f'| {SETS[row.data]} | `{row.model}` | {" | ".join(cells)} |')
    return '\n'.join(lines) + '\n'


def headline_table(rows: list[Row]) -> str:
    """Return PSNR (Y) by set and model, in Markdown."""
    models = [name for name in HEADLINE if name in {row.model for row in rows}]
    lines = [f'| | input | {" | ".join(f"`{name}`" for name in models)} |']
    lines.append('|---' * (2 + len(models)) + '|')
    for data, title in SETS.items():
        of_set = {row.model: row for row in rows if row.data == data and row.model in models}
        before = {f'{row.before["psnr_y"]:.2f}' for row in of_set.values()}
        after = [
            f'{of_set[name].after["psnr_y"]:.2f}' if name in of_set else '' for name in models
        ]
        lines.append(f'| {title} | {" ".join(before)} | {" | ".join(after)} |')
    return '\n'.join(lines) + '\n'


def around_table(page: Path) -> tuple[str, str]:
    """
    Return what a page has before its table and after it, the comments included.

    :raises DataError: the page does not have the two comments once.
    """
    parts = BLOCK.split(page.read_text())
    if len(parts) != 4:
        raise DataError(
            f'{page}: has {len(parts) // 3} blocks "<!-- scores: ... --> <!-- end of scores -->" '
            'for a table; give it one'
        )
    return parts[0] + parts[1], parts[2] + parts[3]


@command
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('--data', type=Path, required=True, help=f'folder of {", ".join(SETS)}')
    parser.add_argument('--pages', type=Path, default=ROOT, help='checkout to write the tables to')
    arguments = parser.parse_args()
    pages = {
        arguments.pages / 'docs' / 'results.md': full_table,
        arguments.pages / 'README.md': headline_table,
    }
    around = {page: around_table(page) for page in pages}
    first, last = VALIDATION[0], VALIDATION[-1]
    scenes = {
        name: numbered(read_scenes(arguments.data / name, 'pairs'), first, last) for name in SETS
    }
    rows = [row for name in released_names() for row in score(name, scenes)]
    for page, table in pages.items():
        before, after = around[page]
        write_atomically(page, (before + table(rows) + after).encode())
        print(table(rows), end='')


if __name__ == '__main__':
    sys.exit(main())
