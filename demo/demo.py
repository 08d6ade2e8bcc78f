#!/usr/bin/env python3
"""
Play a source as a camera through a real de-raining node, and show what comes out.

    make demo [INPUT=IMAGE|FOLDER|VIDEO|BAG] [TOPIC=TOPIC]

Where derain_ros is installed, ``python3 demo/demo.py --help`` says what else there is. The exit
status is 0 where all of the input was shown, 1 where some of it is damaged, 2 where nothing was.
"""

import argparse
from pathlib import Path
import shutil
import signal
import sys

import _root  # noqa: F401  lets this repository be imported
from play import NodeError, play
import rclpy
from rclpy.signals import SignalHandlerOptions
from results import BAG, print_table, PRODUCTS, write_results
from sources import open_source, Source

from derain_ros.errors import DataError, DerainError
from derain_ros.node.transport import use_profile

ROOT = Path(__file__).resolve().parents[1]


def check_apart(path: Path, out: Path) -> None:
    """
    Check that the demo will not replace its own input.

    :raises DataError: it would.
    """
    path = path.resolve()
    if path == out.resolve():
        raise DataError(
            f'{path}: is where the demo writes, and would be shown its own pictures; move it'
        )
    if {(out / name).resolve() for name in PRODUCTS} & {path, *path.parents}:
        raise DataError(f'{path}: would be replaced by what the demo writes; move it')


def run(source: Source, out: Path) -> tuple[dict, str]:
    """
    Run the demo into a folder; what an earlier run left there is replaced.

    :returns: the report, and what is wrong with the source, '' if it was shown whole.
    :raises DerainError: nothing can be shown.
    """
    shutil.rmtree(out / BAG, ignore_errors=True)
    for name in PRODUCTS:
        if name != BAG:
            (out / name).unlink(missing_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    flight = play(source, out / BAG)
    if not flight.arrived:
        raise NodeError('no frame came back from the node; its own messages say why')
    return write_results(source, flight, out), flight.damage


def terminate(*_: object) -> None:
    """End the program, and the node with it, on SIGTERM."""
    sys.exit(128 + signal.SIGTERM)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument(
        '--input',
        type=Path,
        help='image, folder of images, video or rosbag; default: the shipped clip in synthetic '
        'rain',
    )
    parser.add_argument('--topic', help='image topic of the rosbag, where it has several')
    parser.add_argument('--out', type=Path, default=Path('demo_out'), help='where results go')
    arguments = parser.parse_args()
    use_profile(ROOT / 'config' / 'fastdds_shm.xml')
    # Python's own handlers: those of rclpy would let the demo go on, whatever it waits for
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    signal.signal(signal.SIGTERM, terminate)
    try:
        if arguments.input:
            check_apart(arguments.input, arguments.out)
        source = open_source(arguments.input, arguments.topic)
        result, damage = run(source, arguments.out)
    except (DerainError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    finally:
        rclpy.try_shutdown()
    print_table(result, arguments.out)
    if damage:
        print(f'error: only a part was shown: {damage}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
