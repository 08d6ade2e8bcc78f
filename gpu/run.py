#!/usr/bin/env python3
"""
Everything that needs a GPU, on a bare GPU machine: checks and figures, or prepared trainings.

    python3 gpu/run.py check --out OUT --minutes 6       # tests and figures; or one: check tests
    python3 gpu/run.py train fast fast-light --data DATA --out OUT --minutes 7
    python3 gpu/run.py check --out OUT --rehearse        # a small one, also without a GPU

Writes OUT/check.json, .md and .log (or train.*) after each part, and of each training one file
below 16 MB. Parts that cannot run say why. docs/gpu.md says how to spend the time.
"""

import argparse
from itertools import chain
from pathlib import Path
import sys
from tempfile import TemporaryDirectory
import time

import _root  # noqa: F401  lets this repository be imported
from check import parts_of_figures, parts_of_tests
from parts import Outcome, run_part
from report import write_report
from train import JOBS, run_jobs

KINDS = ('tests', 'figures')


def check(
    kinds: list[str], out: Path, data: Path | None, end: float, rehearse: bool
) -> list[Outcome]:
    """
    Run the checks until a moment on ``time.monotonic``; all that is left is not run.

    :param kinds: tests, figures, or both.
    """
    outcomes: list[Outcome] = []
    with TemporaryDirectory() as folder:
        parts = {
            'tests': parts_of_tests(rehearse, outcomes),
            'figures': parts_of_figures(Path(folder), data, rehearse),
        }
        for part in chain.from_iterable(parts[kind] for kind in kinds):
            outcomes.append(run_part(part, out / 'check.log', end - time.monotonic()))
            print(f'{part.name}: {outcomes[-1].state}: {outcomes[-1].reason}', flush=True)
            write_report(out, 'check', outcomes, rehearse)
    return outcomes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    commands = parser.add_subparsers(dest='command', required=True)
    for name in ('check', 'train'):
        command = commands.add_parser(name)
        command.add_argument('--out', type=Path, required=True, help='folder for what is kept')
        command.add_argument('--data', type=Path, help='pairs and images; none: made by code')
        command.add_argument('--minutes', type=float, default=6.0, help='for all of it')
        command.add_argument('--rehearse', action='store_true', help='a small one, on a CPU too')
        names, order = (
            (JOBS, 'the order of worth') if name == 'train' else (KINDS, 'in this order')
        )
        command.add_argument('names', nargs='*', help=f'of {", ".join(names)}, {order}; none: all')
    arguments = parser.parse_args()
    known = JOBS if arguments.command == 'train' else KINDS
    unknown = set(arguments.names) - set(known)
    if unknown:
        parser.error(f'{", ".join(sorted(unknown))}: unknown; known are {", ".join(known)}')
    if arguments.command == 'train' and arguments.data is None and not arguments.rehearse:
        parser.error('give --data: what is learned from images made by code is of no use')
    end = time.monotonic() + 60 * arguments.minutes
    out = arguments.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    if arguments.command == 'check':
        outcomes = check(arguments.names or [*KINDS], out, arguments.data, end, arguments.rehearse)
    else:
        jobs = [job for job in JOBS if job in arguments.names or not arguments.names]
        outcomes = run_jobs(jobs, out, arguments.data, end, arguments.rehearse)
    return 1 if any(outcome.state == 'failed' for outcome in outcomes) else 0


if __name__ == '__main__':
    sys.exit(main())
