"""The page of before and after, looked at in a browser."""

from pathlib import Path

from helpers.chromium import look_at
import numpy as np
from pictures import write_video
import pytest

from derain_ros.media.gallery import write_report

WIDTH, HEIGHT = 320, 96
COLOURS = {
    'red': (200, 30, 30),
    'blue': (30, 30, 200),
    'green': (30, 160, 30),
    'yellow': (200, 180, 30),
}


def plain(colour: str) -> np.ndarray:
    return np.full((HEIGHT, WIDTH, 3), COLOURS[colour], np.uint8)


def shown(screen: np.ndarray, colour: str) -> np.ndarray:
    """Return where a page has a colour: bool [H, W]."""
    return (np.abs(screen.astype(int) - COLOURS[colour]) < 12).all(axis=-1)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """Return a page with one pair, red and blue, and a video, green and yellow."""
    frames = [(plain('green')[..., ::-1], plain('yellow')[..., ::-1])] * 20
    write_video(frames, 10.0, tmp_path / 'clip.mp4')
    shots = [('<street> & "rain"', plain('red'), plain('blue'))]
    write_report(tmp_path, shots, '<p>summary</p>', {'clip.mp4': 'drive'}, '<p>ending</p>')
    return tmp_path / 'index.html'


@pytest.mark.parametrize('split', [0, 25, 50, 100])
def test_the_slider_divides_before_from_after(page: Path, split: int) -> None:
    move = "for (const slider of document.querySelectorAll('input')) {"
    move += f" slider.value = {split}; slider.dispatchEvent(new Event('input')); }}"

    screen = look_at(page, move)

    for before, after in (('red', 'blue'), ('green', 'yellow')):
        rainy, clean = shown(screen, before), shown(screen, after)
        assert rainy.sum() + clean.sum() > 100_000, 'it is as wide as the page'
        share = rainy.sum() / (rainy.sum() + clean.sum())
        assert share == pytest.approx(split / 100, abs=0.02), (before, after)
        if 0 < split < 100:
            assert np.nonzero(rainy)[1].max() <= np.nonzero(clean)[1].min() + 2, 'rain is left'


def test_a_name_is_text_and_no_markup(page: Path) -> None:
    assert '&lt;street&gt; &amp; &quot;rain&quot;' in page.read_text()


def test_a_page_without_a_video_shows_its_images(tmp_path: Path) -> None:
    write_report(tmp_path, [('street', plain('red'), plain('blue'))])
    assert shown(look_at(tmp_path / 'index.html'), 'red').any()
