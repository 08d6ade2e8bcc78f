"""The pictures of known failures, drawn and de-rained by code."""

from pathlib import Path
import re
import sys

import cv2
from helpers.data import ROOT
import known_failures
import pytest


def test_every_picture_of_the_safety_page_is_drawn_by_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, 'argv', ['known_failures.py', str(tmp_path / 'failures')])

    known_failures.main()

    drawn = sorted((tmp_path / 'failures').iterdir())
    shown = re.findall(r'!\[.*?\]\(failures/(.*?)\)', (ROOT / 'docs' / 'safety.md').read_text())
    assert [path.name for path in drawn] == sorted(shown)
    assert sum(path.stat().st_size for path in drawn) < 400_000
    for path in drawn:
        before, after, _ = (cv2.imread(str(path))[:, part : part + 384] for part in (0, 384, 768))
        assert before.shape == after.shape == (216, 384, 3)


def test_a_network_that_changes_nothing_is_drawn_as_no_change() -> None:
    picture = known_failures.picture(lambda frame: frame, known_failures.snow())

    assert (picture[:, :384] == picture[:, 384:768]).all()
    assert (picture[:, 768:] == 128).all()
