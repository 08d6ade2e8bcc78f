"""
The self-test of an engine: known frames must come out as they should.

It finds weights that are finite but destroyed (one flipped high bit of an exponent is enough) and
engines that compute something else than the model. Frames are made here, so they are known.
"""

import numpy as np

from derain_ros.engine.base import Engine
from derain_ros.errors import EngineError
from derain_ros.order import Order

# A dry frame: released models change it by at most 9 grey levels; with a flipped high bit of an
# exponent, 4 % to 100 % of its values change by more than this.
DRY_LEVELS, DRY_SHARE = 48, 0.01
# A rainy frame, against float32: bfloat16 is at most 4 levels off, and 0.27 on average.
RAINY_LEVELS, RAINY_MEAN_LEVELS = 16, 1.0
# What float32 on the CPU recomputes of a large frame. The rest of it reaches less far than MARGIN.
CROP_PX, MARGIN_PX = 256, 64


class SelfTestError(EngineError):
    """A known frame did not come out as it should."""


def dry_frame(height: int, width: int) -> np.ndarray:
    """Return a smooth frame in medium grey levels, uint8 [H, W, 3]; each channel differs."""
    rows, columns = np.mgrid[:height, :width]
    shade = 24 * np.sin(columns / 11) + 8 * np.cos(rows / 7)
    return np.stack([116 + shade, 128 - shade, 140 + shade / 2], axis=-1).round().astype(np.uint8)


def rainy_frame(height: int, width: int) -> np.ndarray:
    """Return the same frame with streaks, and black and white bars; uint8 [H, W, 3]."""
    frame = dry_frame(height, width)
    rows, columns = np.mgrid[:height, :width]
    streaks = (columns + rows // 4) % 17 == 0
    frame[streaks] += 70
    frame[columns % 64 >= 52] = 0
    frame[rows % 64 >= 52] = 255
    return frame


def self_test(
    engine: Engine,
    reference: Engine | None,
    shape: tuple[int, int, int],
    order: Order,
    timeout_s: float | None = None,
) -> None:
    """
    Run known frames through an engine and compare what comes out.

    :param reference: another engine of the same model, which runs in float32; None where there
        is none, so that only the dry frame is tested.
    :param shape: batch, height and width of the frames to run.
    :raises SelfTestError: a frame did not come out as it should.
    :raises EngineError: the engine gave no result.
    """
    batch, height, width = shape
    dry = dry_frame(height, width)
    output = _run(engine, np.stack([dry] * batch), order, timeout_s)
    share = float((_distance(output, dry) > DRY_LEVELS).mean())
    if share > DRY_SHARE:
        raise SelfTestError(
            f'self-test: {share:.0%} of a dry frame came out over {DRY_LEVELS} grey levels off'
        )
    if reference is None:
        return
    rainy = rainy_frame(height, width)
    output = _run(engine, np.stack([rainy] * batch), order, timeout_s)
    expected = _run(reference, rainy[None, :CROP_PX, :CROP_PX], order, None)
    inner = tuple(
        slice(side if side <= CROP_PX else CROP_PX - MARGIN_PX) for side in (height, width)
    )
    distance = _distance(output[:, inner[0], inner[1]], expected[:, inner[0], inner[1]])
    if distance.max() > RAINY_LEVELS or distance.mean() > RAINY_MEAN_LEVELS:
        raise SelfTestError(
            f'self-test: a rainy frame came out {distance.mean():.1f} grey levels off what '
            f'float32 makes of it, and {distance.max()} at most'
        )


def _run(engine: Engine, frames: np.ndarray, order: Order, timeout_s: float | None) -> np.ndarray:
    output = np.zeros_like(frames)
    engine.infer(frames, output, order, timeout_s)
    return output


def _distance(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    distance: np.ndarray = np.abs(one.astype(np.int16) - other)
    return distance
