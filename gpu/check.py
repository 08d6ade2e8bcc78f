"""The checks of a GPU machine, in the order of their worth."""

from collections.abc import Iterator
import os
from pathlib import Path
import sys

from made_data import make_data
from parts import Outcome, Part, ROOT
import torch
import yaml

TRAINING_TESTS = [
    'test/training/test_training_cuda.py',
    'test/training/test_training_device.py',
    'test/training/test_training_device_run.py',
]
STAND_IN = str(ROOT / 'test' / 'stand_in')
# what a rehearsal changes of a job: a network and steps that a CPU takes in seconds
SMALL = {
    'shape': {'channels': 4, 'units': 1},
    'start': None,
    'steps': 6,
    'batch': 4,
    'crop': 16,
    'precision': 'float32',
    'workers': 0,
    'validate_every': 3,
    'checkpoint_every': 3,
}


def parts_of_tests(rehearse: bool, outcomes: list[Outcome]) -> Iterator[Part]:
    """
    Return the parts that pass or fail, one after another.

    :param outcomes: of the parts before, filled while these are run.
    """
    python = sys.executable
    tests = [python, '-m', 'pytest', '-q', '-p', 'no:cacheprovider']
    if rehearse:
        tests.append('--collect-only')
    yield Part('TensorRT takes this GPU', [python, 'gpu/probe.py'], 90)
    engine_tests = [*tests, 'test/gpu/test_tensorrt.py']
    taken = outcomes[0].state == 'passed'
    refused = '' if taken or rehearse else outcomes[0].reason
    yield Part('tests of the TensorRT engine', engine_tests, 120, missing=refused)
    if not taken:
        yield Part(
            "tests of our CUDA code, with torch in TensorRT's place",
            engine_tests,
            120,
            {'PYTHONPATH': os.pathsep.join([STAND_IN, os.environ.get('PYTHONPATH', '')])},
            missing='' if torch.cuda.is_available() else 'no CUDA',
        )
    yield Part('tests of training on CUDA', [*tests, *TRAINING_TESTS], 150)


def parts_of_figures(work: Path, data: Path | None, rehearse: bool) -> Iterator[Part]:
    """
    Return the parts that measure, one after another.

    :param work: folder for what nobody keeps.
    :param data: pairs and images; None: made by code, which is as fast.
    """
    yield engine_speed(work, rehearse)
    if data is None:
        data = work / 'data'
        make_data(data, *((48, 64) if rehearse else (321, 481)))
    yield from throughputs(work, data, rehearse)


def engine_speed(work: Path, rehearse: bool) -> Part:
    """Return the part that times the engines."""
    figures = work / 'engines.json'
    command = [sys.executable, 'benchmarks/tensorrt_speed.py', '--json', str(figures)]
    if rehearse:
        command += ['--sizes', '64x48', '--batches', '1', '--frames', '2']
    return Part('milliseconds of TensorRT engines', command, 120, figures=figures)


def throughputs(work: Path, data: Path, rehearse: bool) -> Iterator[Part]:
    """Return the parts that measure how many crops per second training takes."""
    for name, what, batches, more in (
        ('fast', 'on the device', ('8', '64', '256'), ['--device-path']),
        ('fast', 'cut on the CPU, step by step', ('8', '64'), []),
        ('reference-heavy', 'on the device', ('16', '64'), ['--device-path']),
        ('fast', 'on the device, compiled', ('64', '256'), ['--device-path', '--compiled']),
    ):
        if rehearse and (name, what) != ('fast', 'on the device'):
            continue  # the same command; compiling alone takes a minute
        figures = work / f'{name} {what}.json'
        config = job(name, work, rehearse)
        command = [sys.executable, 'benchmarks/training_throughput.py', *more]
        command += ['--config', str(config), '--data', str(data), '--json', str(figures)]
        command += ['--bag-images', 'none', '--workers', '0']
        command += ['--rounds', '1', '--steps', '2'] if rehearse else ['--rounds', '3']
        command += ['--batches', *(('4',) if rehearse else batches)]
        yield Part(f'crops per second of {name}, {what}', command, 90, figures=figures)


def job(name: str, work: Path, rehearse: bool) -> Path:
    """Return the experiment of a job; in a rehearsal a small one."""
    path = Path(__file__).parent / 'jobs' / f'{name}.yaml'
    if not rehearse:
        return path
    small = work / path.name
    small.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | SMALL))
    return small
