"""Prepared trainings, each with a time that it keeps to."""

from pathlib import Path
import re
import sys
import tarfile
from tempfile import TemporaryDirectory
import time

from check import job
from made_data import make_data
from parts import Outcome, Part, run_part
from report import write_report

# in the order of their worth
JOBS = ('fast', 'narrow', 'fast-light', 'fast-heavy', 'reference-light', 'reference-heavy')
LARGEST_BYTES = 16_000_000
# for the start of the interpreter and of CUDA, before the job looks at the clock
START_S = 10.0
# beyond its time a job is ended; it keeps to its time by itself
GRACE_S = 20.0


def run_jobs(
    jobs: list[str], out: Path, data: Path | None, end: float, rehearse: bool
) -> list[Outcome]:
    """
    Run trainings until a moment on ``time.monotonic``; each gets an equal share of what is left.

    :param out: receives ``train.*``, and of each job a tar file below ``LARGEST_BYTES``.
    """
    outcomes = []
    with TemporaryDirectory() as folder:
        work = Path(folder)
        if data is None:
            data = work / 'data'
            make_data(data, 48, 64)
        for index, name in enumerate(jobs):
            left_s = end - time.monotonic()
            outcomes.append(run_job(name, work, out, data, left_s / (len(jobs) - index), rehearse))
            print(f'{name}: {outcomes[-1].state}: {outcomes[-1].reason}', flush=True)
            write_report(out, 'train', outcomes, rehearse)
    return outcomes


def run_job(
    name: str, work: Path, out: Path, data: Path, time_s: float, rehearse: bool
) -> Outcome:
    """Train one job and pack what it leaves."""
    minutes = max(time_s - START_S, 0.0) / 60
    command = [sys.executable, 'training/train.py', '--config', str(job(name, work, rehearse))]
    command += ['--data', str(data.resolve()), '--out', str(work / name)]
    command += ['--minutes', f'{minutes:.3f}']
    log = out / 'train.log'
    begin = log.stat().st_size if log.exists() else 0
    outcome = run_part(Part(name, command, time_s + GRACE_S), log, time_s + GRACE_S)
    if outcome.state == 'not run':
        return outcome
    packed = pack(work / name, out / f'{name}.tar')
    scores = re.findall(r'\d+: PSNR \(Y\) .*', log.read_bytes()[begin:].decode(errors='replace'))
    said = scores[-1] if scores else outcome.reason
    reason = f'{said}; kept {", ".join(packed) or "nothing"}'
    return Outcome(name, outcome.state, reason, outcome.seconds)


def pack(run: Path, archive: Path) -> list[str]:
    """
    Pack what a training left, the most needed first, as long as it stays below the limit.

    :returns: the names of what was packed.
    """
    wanted = [run / name for name in ('best.safetensors', 'last.safetensors', 'checkpoint.pt')]
    wanted += sorted((run / 'tensorboard').glob('*'))
    names, total = [], 0
    with tarfile.open(archive, 'w') as tar:
        for path in wanted:
            size = path.stat().st_size if path.is_file() else None
            # a block each for names and ends
            if size is not None and total + size + 20_480 < LARGEST_BYTES:
                tar.add(path, f'{run.name}/{path.relative_to(run)}')
                names.append(path.name)
                total += size + 1024
    return names
