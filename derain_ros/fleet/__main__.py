"""
Take the rain out of many inputs, each on one worker of a Ray cluster.

    derain-fleet LIST OUTPUT_ROOT [--gpus-per-worker 1] [--model fast] [--engine auto]

LIST names an image, video, bag or folder in each line. Its result lies in OUTPUT_ROOT under the
same path. What is there already is left as it is, so that the same command goes on after any end.

Exit status: 0 all is done, 1 some inputs failed and are named, 2 wrong usage.
"""

from __future__ import annotations

import argparse
from pathlib import Path
import sys
import time
from typing import Any

from tqdm import tqdm

from derain_ros.errors import DataError, DerainError
from derain_ros.files import write_json
from derain_ros.fleet.work import Options, Result
from derain_ros.model.graph import load_graph
from derain_ros.model.released import onnx_file
from derain_ros.offline.arguments import add_options
from derain_ros.offline.report import versions

TITLES = ('input', 'state', 'frames', 'seconds', 'tries', 'machine')


def main() -> int:
    arguments = _arguments()
    try:
        inputs = read_list(arguments.list, arguments.output)
        with onnx_file(arguments.model) as model:  # what is wrong is said once, not for each input
            load_graph(model)
        return _run(inputs, arguments)
    except (DerainError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('cancelled; what is whole is kept, give the same command again', file=sys.stderr)
        return 130


def read_list(file: Path, root: Path) -> dict[str, str]:
    """
    Read which inputs there are, and where their results go.

    :returns: source to target, as absolute paths.
    :raises DataError: it is empty, or a line cannot be kept below the root.
    :raises OSError: it cannot be read.
    """
    inputs: dict[str, str] = {}
    for line in file.read_text().splitlines():
        path = Path(line.strip())
        if path == Path():
            continue
        if '..' in path.parts:
            raise DataError(f'{file}: {line}: give a path without ..')
        below = path.relative_to('/') if path.is_absolute() else path
        inputs[str(path.absolute())] = str((root / below).absolute())
    if not inputs:
        raise DataError(f'{file}: names no input; give one path in each line')
    return inputs


def _run(inputs: dict[str, str], arguments: argparse.Namespace) -> int:
    try:
        from derain_ros.fleet.cluster import connected, derain_all, worker_resources
    except ModuleNotFoundError as error:
        raise DataError(f'{error}; pip install -r requirements/fleet.txt') from error
    model = Path(arguments.model).expanduser()
    options = Options(
        str(model.absolute()) if model.exists() else arguments.model,
        arguments.engine,
        arguments.jobs,
        arguments.quality,
        tuple(arguments.topics or ()),
        arguments.beside,
    )
    start, results = time.monotonic(), []
    with connected(), tqdm(total=len(inputs), unit='input', disable=None) as bar:
        resources = worker_resources(arguments.gpus_per_worker, arguments.cpus_per_worker)
        for result in derain_all(inputs, options, resources, arguments.retries):
            results.append(result)
            bar.update()
            for line in result.problems:
                tqdm.write(line, file=sys.stderr)
    order = {source: place for place, source in enumerate(inputs)}
    results.sort(key=lambda result: order[result.input])
    report = summary(results, arguments.model, time.monotonic() - start)
    root: Path = arguments.output.absolute()
    path = arguments.json or root.with_name(f'{root.name}.derain.json')
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, report)
    print(table(results))
    print(
        f'{report["inputs"]} inputs, {report["failed"]} failed, {report["already_there"]} there '
        f'already; {report["frames"]} frames in {report["seconds"]:.1f} s; see {path}'
    )
    return int(report['failed'] > 0)


def summary(results: list[Result], model: str, seconds: float) -> dict[str, Any]:
    """Return the report of a fleet, as it is written to JSON."""
    return {
        'inputs': len(results),
        'failed': sum(bool(result.problems) for result in results),
        'already_there': sum(result.state == 'already there' for result in results),
        'frames': sum(result.frames for result in results),
        'seconds': round(seconds, 3),
        'model': model,
        'versions': versions(),
        'results': [result.to_json() for result in results],
    }


def table(results: list[Result]) -> str:
    """Return what came of each input, in columns."""
    rows = [TITLES] + [
        (
            result.input,
            f'{result.state}, with problems'
            if result.frames and result.problems
            else result.state,
            str(result.frames),
            f'{result.seconds:.1f}',
            str(result.tries),
            result.machine,
        )
        for result in results
    ]
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = ('  '.join(cell.ljust(width) for cell, width in zip(row, widths)) for row in rows)
    return '\n'.join(line.rstrip() for line in lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='derain-fleet', description=(__doc__ or '').strip().splitlines()[0]
    )
    parser.add_argument('list', type=Path, help='file with a path in each line')
    parser.add_argument('output', type=Path, help='folder of the results, which all machines see')
    parser.add_argument('--gpus-per-worker', type=float, default=0, help='(default 0)')
    parser.add_argument(
        '--cpus-per-worker', type=float, help='(default 1 with GPUs, else all of a machine)'
    )
    parser.add_argument('--retries', type=int, default=2, help='of an input (default 2)')
    add_options(parser)
    parser.add_argument('--json', type=Path, help='report (default OUTPUT_ROOT.derain.json)')
    arguments = parser.parse_args()
    if arguments.retries < 0 or arguments.gpus_per_worker < 0:
        parser.error('--retries and --gpus-per-worker must be at least 0')
    return arguments


if __name__ == '__main__':
    sys.exit(main())
