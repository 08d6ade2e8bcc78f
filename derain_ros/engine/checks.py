"""What every engine checks of the frames it is given."""

import numpy as np

from derain_ros.errors import EngineError

SMALLEST_PX = 16


def check_frames(frames: np.ndarray, out: np.ndarray) -> None:
    """
    Check what ``Engine.infer`` was given.

    :raises EngineError: shapes or dtypes are not those of the protocol.
    """
    for name, array in (('frames', frames), ('out', out)):
        if array.dtype != np.uint8 or array.ndim != 4 or array.shape[3] != 3:
            raise EngineError(f'{name} is {array.dtype} {array.shape}, not uint8 [N, H, W, 3]')
    if frames.shape != out.shape:
        raise EngineError(f'frames are {frames.shape}, but out is {out.shape}')
    if len(frames) == 0:
        raise EngineError('frames are a batch of none; give at least one frame')
    if min(frames.shape[1:3]) < SMALLEST_PX:
        raise EngineError(
            f'frames of {frames.shape[2]}x{frames.shape[1]} are below '
            f'{SMALLEST_PX}x{SMALLEST_PX}, the smallest that can be de-rained'
        )
    if not out.flags.c_contiguous:
        raise EngineError('out is not C-contiguous, so it cannot be written in place')
    if not out.flags.writeable:
        raise EngineError('out is read-only; give an array that can be written')
