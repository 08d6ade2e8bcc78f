"""The pages of the documentation, and what they show: code, commands, links, tables."""

from itertools import takewhile
from pathlib import Path
import re

from helpers.data import ROOT

PAGES = [
    ROOT / 'README.md',
    *sorted((ROOT / 'docs').glob('*.md')),
    ROOT / 'derain_ros' / 'models' / 'README.md',
]
DOTALL = re.MULTILINE | re.DOTALL
FENCE = re.compile(r'^( *)```(\S*)\n(.*?)^\1```$', DOTALL)
PROGRAMS = (
    'python3 ',
    'pip install -r',
    "pip install '",
    'pip install cuda',
    'make ',
    'ros2 launch',
    'ros2 run',
    'ros2 topic',
)


def name(page: Path) -> str:
    """Return the path of a page within the repository."""
    return str(page.relative_to(ROOT))


def blocks(page: Path, language: str) -> list[str]:
    """Return the code blocks of a page in a language."""
    return [body for _, marked, body in FENCE.findall(page.read_text()) if marked == language]


def examples(page: Path) -> list[str]:
    """Return the Python examples of a page that run; a comment above one says what it needs."""
    needy = re.sub(
        r'<!-- needs [^\n]* -->\n```python\n.*?^```$', '', page.read_text(), flags=DOTALL
    )
    return [body for _, marked, body in FENCE.findall(needy) if marked == 'python']


def languages(page: Path) -> set[str]:
    """Return what the code blocks of a page are marked with; '' is no mark."""
    return {marked for _, marked, _ in FENCE.findall(page.read_text())}


def prose(page: Path) -> str:
    """Return a page without its code blocks."""
    return FENCE.sub('', page.read_text())


def commands(page: Path) -> set[str]:
    """Return the shell commands of a page, of its blocks and within its text; each is one line."""
    script = re.sub(r'\\\n\s*', '', '\n'.join(blocks(page, 'bash')))
    lines = [re.split(r'\s#', line)[0].strip() for line in script.splitlines()]
    spans = (' '.join(span.split()) for span in re.findall(r'(?<!`)`([^`]+)`', prose(page)))
    return {line for line in lines if line} | {
        span for span in spans if span.startswith(PROGRAMS) and '...' not in span
    }


def links(page: Path) -> set[str]:
    """Return the targets of the links and pictures of a page, less those of the web."""
    found = re.findall(r'\]\(([^)\s]+)\)|^\[.+\]: (\S+)', prose(page), re.MULTILINE)
    targets = {inline or reference for inline, reference in found}
    return {target for target in targets if not target.startswith(('http', 'mailto:'))}


def anchors(page: Path) -> set[str]:
    """Return what a link may name after '#', as GitHub and MyST make it of headings."""
    headings = re.findall(r'^#+ (.*)$', prose(page), re.MULTILINE)
    plain = [re.sub(r'[^\w\- ]', '', heading.lower()) for heading in headings]
    return {heading.replace(' ', '-') for heading in plain}


def rows(page: Path, *columns: str) -> list[list[str]]:
    """Return the cells of the table whose header begins with these columns."""
    lines = page.read_text().splitlines()
    cells = [
        [cell.strip() for cell in line.strip('|').split('|')] if line.startswith('|') else []
        for line in lines
    ]
    start = next(at for at, row in enumerate(cells) if tuple(row[: len(columns)]) == columns)
    return list(takewhile(bool, cells[start + 2 :]))
