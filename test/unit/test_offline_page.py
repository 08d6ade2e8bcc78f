"""The page of a run, as a person sees it in a browser."""

from pathlib import Path
from types import SimpleNamespace

from helpers.chromium import look_at
from helpers.offline import darker, write_drive
import numpy as np

from derain_ros.offline.bags import derain_bag
from derain_ros.offline.job import Job
from derain_ros.offline.page import write_page
from derain_ros.offline.report import summary

# of the window: a frame of 64x48 is as wide as it, and all of them are in it
SIZE_PX = (400, 2400)


def screen(page: Path, split: int) -> np.ndarray:
    """Return what the page shows after one second of its clips, with all sliders at a place."""
    move = "for (const slider of document.querySelectorAll('input')) {"
    move += f" slider.value = {split}; slider.dispatchEvent(new Event('input')); }}"
    move += "for (const clip of document.querySelectorAll('video')) {"
    move += ' clip.pause(); clip.currentTime = 1; }'
    return look_at(page, move, SIZE_PX).astype(int)


def test_sliders_move_between_before_and_after_in_images_and_clips(tmp_path):
    bag = write_drive(tmp_path / 'rain.bag', 'ros1', frames=30)
    outcome = derain_bag(bag, tmp_path / 'out.bag', Job(darker, shows=True))
    engine = SimpleNamespace(model='fast', engine='openvino', precision='bf16')
    write_page(tmp_path / 'page', [outcome], summary([outcome], 0, 1.0, engine))
    page = tmp_path / 'page' / 'index.html'
    lost = screen(page, split=100) - screen(page, split=0)
    shown = (lost.sum(axis=-1) > 0) & (lost.sum(axis=-1) < 30)  # 15, but for the codec
    frames = shown.sum() / (400 * 300)
    assert 3.6 < frames < 4.1  # two cameras, each with an image and a clip
    assert abs(lost[shown].mean() - 5) < 1  # which is what was taken away
