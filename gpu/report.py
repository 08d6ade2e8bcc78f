"""One JSON file and one table of what was run on a GPU machine."""

from collections.abc import Iterator
from dataclasses import asdict
import json
from pathlib import Path
import platform
from typing import Any

from parts import Outcome
import torch


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    facts: dict[str, Any] = {
        'python': platform.python_version(),
        'torch': torch.__version__,
        'cuda': torch.version.cuda,
        'gpu': None,
    }
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        facts['gpu'] = properties.name
        facts['compute_capability'] = f'{properties.major}.{properties.minor}'
        facts['memory_bytes'] = properties.total_memory
        facts['cudnn'] = torch.backends.cudnn.version()
    return facts


def write_report(folder: Path, name: str, outcomes: list[Outcome], rehearsal: bool) -> None:
    """Write ``name``.json and ``name``.md; after each part, lest a machine be taken away."""
    facts = machine()
    document = {
        'machine': facts,
        'rehearsal': rehearsal,
        'parts': [asdict(outcome) for outcome in outcomes],
    }
    (folder / f'{name}.json').write_text(json.dumps(document, indent=2) + '\n')
    card = facts['gpu'] or 'no GPU'
    lines = [f'{name} on {card}, torch {facts["torch"]}, CUDA {facts["cuda"]}', '']
    if rehearsal:
        lines = ['A rehearsal: none of these figures says anything of a GPU.', '', *lines]
    lines += ['| part | state | s | what |', '|---|---|---|---|']
    for outcome in outcomes:
        reason = outcome.reason.replace('|', '/')
        lines.append(f'| {outcome.name} | {outcome.state} | {outcome.seconds:g} | {reason} |')
    for outcome in outcomes:
        lines += _tables(outcome)
    (folder / f'{name}.md').write_text('\n'.join(lines) + '\n')


def _tables(outcome: Outcome) -> Iterator[str]:
    """Return the figures of a part as a table: of each row what is a number, a text, or two."""
    figures = outcome.figures
    if not figures:
        return
    rows = figures.get('rows') or [
        {'': name, **values} for name, values in figures.items() if isinstance(values, dict)
    ]
    names = list(dict.fromkeys(name for row in rows for name in row))
    if not rows:
        return
    yield from ('', f'{outcome.name}:', '', '| ' + ' | '.join(names) + ' |')
    yield '|' + '---|' * len(names)
    for row in rows:
        yield '| ' + ' | '.join(_cell(row.get(name)) for name in names) + ' |'


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return ' / '.join(_cell(item) for item in value.values())
    if isinstance(value, float):
        return f'{value:.4g}'
    return 'not run' if value is None else str(value).replace('|', '/')
