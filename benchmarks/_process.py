"""What a process uses, as Linux counts it."""

import os
from pathlib import Path


def cpu_s(pid: int) -> float:
    """Return the CPU seconds that a process has used, in user and in kernel mode."""
    # the name of the program, in parentheses, may contain spaces
    fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def pss_bytes(pid: int) -> int:
    """Return the memory of a process; what it shares with others is divided among them."""
    return _rollup_bytes(pid, 'Pss')


def private_bytes(pid: int) -> int:
    """Return the memory that is a process's own: not of files, not shared with others."""
    return _rollup_bytes(pid, 'Anonymous')


def threads(pid: int) -> int:
    """Return how many threads a process has."""
    return len(os.listdir(f'/proc/{pid}/task'))


def descriptors(pid: int) -> int:
    """Return how many files, sockets and pipes a process has open."""
    return len(os.listdir(f'/proc/{pid}/fd'))


def _rollup_bytes(pid: int, name: str) -> int:
    for line in Path(f'/proc/{pid}/smaps_rollup').read_text().splitlines():
        if line.startswith(f'{name}:'):
            return int(line.split()[1]) * 1024
    raise ValueError(f'/proc/{pid}/smaps_rollup has no {name}: this kernel does not count it')
