"""Chromium without a window: what a person sees of a page."""

from pathlib import Path
import re
import shutil
import subprocess

import numpy as np
from PIL import Image
import pytest

PATIENCE_S = 120


def look_at(page: Path, script: str = '', size_px: tuple[int, int] = (800, 1200)) -> np.ndarray:
    """
    Return what Chromium shows of a page, uint8 RGB [H, W, 3]; skip the test where it is missing.

    :param page: HTML file; what it refers to lies beside it.
    :param script: JavaScript that runs when the page is loaded, such as one that moves a slider.
    :param size_px: of the window, width and height.
    :raises AssertionError: a script of the page failed, or a file that it shows is missing.
    """
    browser = shutil.which('chromium') or shutil.which('google-chrome')
    if browser is None:
        pytest.skip('chromium is not installed: apt install chromium')
    copy, picture = page.with_name('looked_at.html'), page.with_name('looked_at.png')
    loaded = f"<script>addEventListener('load', () => {{ {script} }})</script>"
    copy.write_text(page.read_text() + loaded)
    options = [
        '--headless',
        '--no-sandbox',  # which root may not use
        '--disable-gpu',
        '--disable-dev-shm-usage',
        '--hide-scrollbars',
        '--enable-logging=stderr',
        '--autoplay-policy=no-user-gesture-required',
        # of the page's own clock, so that its videos have begun
        '--virtual-time-budget=3000',
        f'--user-data-dir={page.parent / "chromium"}',
        f'--window-size={size_px[0]},{size_px[1]}',
        f'--screenshot={picture}',
    ]
    said = subprocess.run(
        [browser, *options, copy.as_uri()], capture_output=True, text=True, timeout=PATIENCE_S
    ).stderr
    assert re.findall(r'.*(?:Uncaught|ERR_FILE_NOT_FOUND).*', said) == []
    return np.asarray(Image.open(picture).convert('RGB'))
