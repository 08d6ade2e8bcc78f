"""The documentation as Sphinx builds it."""

from pathlib import Path
import subprocess
import sys

from helpers.data import ROOT
import pytest

for module in ('sphinx', 'myst_parser', 'sphinx_rtd_theme'):
    pytest.importorskip(module, reason=f'{module} is not installed; requirements/docs.txt has it')


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    said = subprocess.run(
        [sys.executable, '-m', 'sphinx', '-W', '-n', '-q', ROOT / 'docs', tmp_path / 'site'],
        capture_output=True,
        text=True,
    )

    assert (said.returncode, said.stderr) == (0, '')
    for page in sorted((ROOT / 'docs').glob('*.md')):
        assert (tmp_path / 'site' / page.with_suffix('.html').name).is_file(), page.name
