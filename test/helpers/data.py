"""Where the repository and the research data are."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get('DERAIN_DATA', ROOT.parent / 'shared' / 'data'))


def data_folder(name: str) -> Path:
    """Return a folder of the research data, or skip the test, naming what is missing."""
    folder = DATA / name
    if not folder.exists():
        pytest.skip(f'research data missing: {folder} (set DERAIN_DATA)')
    return folder
