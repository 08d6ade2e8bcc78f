"""
Take the rain out of images, videos and bags.

    derain INPUT OUTPUT [--model fast] [--engine auto] [--topics ...]

Exit status: 0 all is done, 1 some inputs failed and are named, 2 wrong usage.
"""

from __future__ import annotations

import argparse
from pathlib import Path
import sys
import time

from tqdm import tqdm

from derain_ros import Derainer
from derain_ros.errors import DataError, DerainError
from derain_ros.files import write_json
from derain_ros.offline.arguments import add_options
from derain_ros.offline.items import find_items, have_many_sizes, Item, shard
from derain_ros.offline.job import Job
from derain_ros.offline.page import write_page
from derain_ros.offline.report import summary
from derain_ros.offline.run import derain_items

# streams on the page with frames and a clip: more are too many to look at, and take memory
MOST_SHOWN = 24


def main() -> int:
    arguments = _arguments()
    try:
        items = find_items(arguments.input, arguments.output)
        items = shard(items, arguments.shard) if arguments.shard else items
        rest = [item for item in items if not item.target.exists()]
        if len(rest) < len(items) and not (arguments.resume or arguments.overwrite):
            raise DataError(
                f'{len(items) - len(rest)} of {len(items)} outputs of {arguments.input} are there '
                'already; go on with --resume, or replace with --overwrite'
            )
        todo = items if arguments.overwrite else rest
        if arguments.dry_run:
            _print_plan(items, todo)
            return 0
        any_size = have_many_sizes(todo)
        with Derainer(arguments.model, engine=arguments.engine, any_size=any_size) as derain:
            return _run(todo, len(items) - len(todo), derain, arguments)
    except (DerainError, OSError) as error:  # such as a folder that cannot be written to
        print(f'error: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('cancelled; what is whole is kept, go on with --resume', file=sys.stderr)
        return 130


def _run(todo: list[Item], skipped: int, derain: Derainer, arguments: argparse.Namespace) -> int:
    job = Job(
        derain,
        arguments.jobs,
        arguments.quality,
        tuple(arguments.topics or ()),
        arguments.beside,
        shows=arguments.report is not None,
    )
    start, outcomes = time.monotonic(), []
    room = MOST_SHOWN
    for outcome in derain_items(todo, job):
        outcomes.append(outcome)
        for stream in outcome.streams:
            stream.showcase, room = (stream.showcase, room - 1) if room > 0 else (None, 0)
        for line in outcome.problems + outcome.notes:
            tqdm.write(line, file=sys.stderr)
    result = summary(outcomes, skipped, time.monotonic() - start, derain)
    part = f'.{arguments.shard.replace("/", "_of_")}' if arguments.shard else ''
    output: Path = arguments.output.resolve()  # which may be '.'
    path = arguments.json or output.with_name(f'{output.name}.derain{part}.json')
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, result)
    if arguments.report:
        write_page(arguments.report, outcomes, result)
    print(
        f'{result["inputs"]} inputs, {result["failed"]} failed, {skipped} there already; '
        f'{result["frames"]} frames in {result["seconds"]:.1f} s with {result["model"]} on '
        f'{result["engine"]} ({result["precision"]}); see {path}'
    )
    return int(result['failed'] > 0)


def _print_plan(items: list[Item], todo: list[Item]) -> None:
    rest = set(todo)
    for item in items:
        state = 'would be written' if item in rest else 'is there already'
        print(f'{item.kind} {item.source} -> {item.target} ({state})')
    size = sum(item.size_bytes for item in todo) / 1e6
    print(f'{len(todo)} of {len(items)} to do, {size:.1f} MB')


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='derain', description=(__doc__ or '').strip().splitlines()[0]
    )
    parser.add_argument('input', type=Path, help='image, video, bag, or folder of them')
    parser.add_argument('output', type=Path, help='of the same kind')
    add_options(parser)
    parser.add_argument('--shard', metavar='I/N', help='every N-th input from the I-th on, from 0')
    there = parser.add_mutually_exclusive_group()
    there.add_argument('--resume', action='store_true', help='leave out what is there already')
    there.add_argument('--overwrite', action='store_true', help='replace what is there already')
    parser.add_argument('--dry-run', action='store_true', help='list what would be done')
    parser.add_argument('--json', type=Path, help='report (default OUTPUT.derain.json)')
    parser.add_argument('--report', type=Path, metavar='FOLDER', help='write a page to look at')
    return parser.parse_args()


if __name__ == '__main__':
    sys.exit(main())
