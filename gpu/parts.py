"""Parts of what is run on a GPU machine: a command, its time, and what came of it."""

from dataclasses import dataclass, field
import json
import os
from pathlib import Path
import re
import signal
import subprocess
import time
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
# of a command that cannot run here; its last line says why
NOT_RUN = 3
NO_TESTS = 5  # pytest's
# with less a part is not begun
LEAST_S = 5.0


@dataclass(frozen=True)
class Part:
    """
    One command.

    :param timeout_s: after which it is ended, with all that it started.
    :param environment: beside that of this process.
    :param figures: JSON file that it writes.
    :param missing: what it needs and is not here; empty where all is.
    """

    name: str
    command: list[str]
    timeout_s: float
    environment: dict[str, str] = field(default_factory=dict)
    figures: Path | None = None
    missing: str = ''


@dataclass(frozen=True)
class Outcome:
    """
    What came of a part.

    :param state: passed, failed or not run.
    :param reason: its last words: a summary, or why it failed or was not run.
    """

    name: str
    state: str
    reason: str
    seconds: float = 0.0
    figures: Any = None


def run_part(part: Part, log: Path, left_s: float) -> Outcome:
    """
    Run a part, and add its output to a log.

    :param left_s: for this part and all after it.
    """
    if part.missing or left_s < LEAST_S:
        return Outcome(part.name, 'not run', part.missing or 'no time was left')
    start = time.monotonic()
    with log.open('ab') as file:
        file.write(f'\n== {part.name}: {" ".join(part.command)}\n'.encode())
        file.flush()
        begin = file.tell()
        process = subprocess.Popen(
            part.command,
            cwd=ROOT,
            env=os.environ | part.environment,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = process.wait(min(part.timeout_s, left_s))
        except subprocess.TimeoutExpired:
            status = None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    seconds = round(time.monotonic() - start, 1)
    output = log.read_bytes()[begin:].decode(errors='replace')
    state, reason = judged(status, output)
    return Outcome(part.name, state, reason, seconds, _figures(part))


def judged(status: int | None, output: str) -> tuple[str, str]:
    """
    Return the state of a part and the reason, from its exit status and its output.

    :param status: None where its time ran out.
    """
    lines = [line.strip() for line in output.replace('\r', '\n').splitlines() if line.strip()]
    last = lines[-1] if lines else 'it said nothing'
    skipped = [line for line in lines if line.startswith('SKIPPED')]
    if status is None:
        return 'failed', f'its time ran out; its last words: {last}'
    only_found = status == 0 and re.match(r'=*\s*\d+ (skipped|tests? collected) in', last)
    if status in (NOT_RUN, NO_TESTS) or only_found:
        return 'not run', skipped[0] if skipped else last
    if status != 0:
        failed = [line for line in lines if line.startswith(('FAILED', 'ERROR', 'error:'))]
        return 'failed', f'{(failed or [last])[0]} (status {status})'
    return 'passed', f'{last}; {skipped[0]}' if skipped else last


def _figures(part: Part) -> Any:
    """Return what a part wrote, also where it was ended early; None where that is nothing."""
    try:
        return None if part.figures is None else json.loads(part.figures.read_text())
    except (OSError, ValueError):
        return None
