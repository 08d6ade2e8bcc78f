#!/usr/bin/env python3
"""
Draw scenes in which the network is known to fail, and write before, after and change of each.

    python3 benchmarks/known_failures.py docs/failures
"""

import argparse
from pathlib import Path

import _root  # noqa: F401  lets this repository be imported
import cv2
import numpy as np
from numpy.typing import NDArray

from derain_ros import Derainer

HEIGHT, WIDTH, HORIZON = 216, 384, 100
WHITE = (225, 225, 225)
# the change is drawn around this grey, so many times as large as it is
GREY, GAIN = 128, 4

Scene = NDArray[np.float32]


def street() -> Scene:
    """Return a road, trees, a house and sky without rain, [H, W, 3] in grey levels, BGR."""
    rng = np.random.default_rng(0)
    scene = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    scene[:HORIZON] = np.linspace(190, 150, HORIZON)[:, None, None] + np.array([8, 2, -6])
    scene[HORIZON:] = np.linspace(95, 70, HEIGHT - HORIZON)[:, None, None]
    trees = np.zeros((HEIGHT, WIDTH), np.uint8)
    for x in range(0, WIDTH, 24):
        cv2.circle(trees, (x, 88), 26 + int(rng.integers(10)), 1, -1)
    leaves = 60 * cv2.GaussianBlur(rng.normal(size=(HEIGHT, WIDTH)), (0, 0), 2)
    scene[trees > 0] = (np.array([45, 75, 60]) + leaves[..., None])[trees > 0]
    scene += 4 * cv2.GaussianBlur(rng.normal(size=(HEIGHT, WIDTH)), (0, 0), 0.7)[..., None]
    cv2.rectangle(scene, (20, 40), (110, 110), (120, 130, 150), -1)
    for x in range(30, 105, 18):
        cv2.rectangle(scene, (x, 52), (x + 8, 66), (60, 50, 45), -1)
        cv2.rectangle(scene, (x, 80), (x + 8, 94), (60, 50, 45), -1)
    return scene


def under_rain(scene: Scene, streaks: int, length_px: float, width_px: int, levels: int) -> Scene:
    """Return a scene under so many streaks, each brighter than it by up to so many grey levels."""
    rng = np.random.default_rng(streaks)
    layer = np.zeros((HEIGHT, WIDTH), np.float32)
    for _ in range(streaks):
        length = length_px * rng.uniform(0.6, 1.3)
        top = np.array([rng.uniform(-20, WIDTH + 20), rng.uniform(-length_px, HEIGHT)])
        bottom = top + np.array([0.15 * length, length])
        ends = [np.rint(8 * end).astype(int).tolist() for end in (top, bottom)]
        shade = levels * rng.uniform(0.5, 1)
        cv2.line(layer, ends[0], ends[1], shade, width_px, cv2.LINE_AA, shift=3)
    return scene + cv2.GaussianBlur(layer, (0, 0), 0.6)[..., None]


def thin_lines() -> Scene:
    """Return a dry road with thick and with thin white lines."""
    scene = street()
    for lane in range(-3, 4):
        ends = (WIDTH // 2 + 4 * lane, 112), (WIDTH // 2 + 70 * lane, HEIGHT)
        cv2.line(scene, *ends, WHITE, 3 if lane % 2 else 1, cv2.LINE_AA)
    return scene


def railing() -> Scene:
    """Return a railing in light rain."""
    scene = street()
    for x in range(150, 371, 7):
        cv2.line(scene, (x, 120), (x, 175), WHITE, 1, cv2.LINE_AA)
    cv2.line(scene, (150, 120), (370, 120), WHITE, 2)
    return under_rain(scene, 260, 26, 1, 110)


def dense_rain() -> Scene:
    """Return a street behind a curtain of rain."""
    return under_rain(under_rain(street(), 900, 40, 2, 110), 901, 60, 3, 80)


def snow() -> Scene:
    """Return a street in snow, which is not rain."""
    scene, rng = street(), np.random.default_rng(3)
    for _ in range(300):
        place = int(rng.integers(WIDTH)), int(rng.integers(HEIGHT))
        cv2.circle(scene, place, int(rng.integers(1, 4)), (235, 235, 235), -1, cv2.LINE_AA)
    return scene


SCENES = {'thin_lines': thin_lines, 'railing': railing, 'dense_rain': dense_rain, 'snow': snow}


def picture(derain: Derainer, scene: Scene) -> NDArray[np.uint8]:
    """Return a scene, its result, and the change between them, side by side."""
    before = np.clip(scene, 0, 255).round().astype(np.uint8)
    after = derain(before)
    change = GREY + GAIN * (after.astype(np.int16) - before)
    return np.hstack([before, after, np.clip(change, 0, 255).astype(np.uint8)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('out', type=Path, help='folder to write the pictures to')
    parser.add_argument('--model', default='fast', help='released name, or ONNX file')
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with Derainer(arguments.model, engine='openvino') as derain:
        for name, draw in SCENES.items():
            path = arguments.out / f'{name}.jpg'
            cv2.imwrite(str(path), picture(derain, draw()), [cv2.IMWRITE_JPEG_QUALITY, 85])
            print(path)


if __name__ == '__main__':
    main()
