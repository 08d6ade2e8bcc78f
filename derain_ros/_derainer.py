"""De-raining of arrays: the public face of the package."""

from pathlib import Path
import threading
from types import TracebackType

import numpy as np

from derain_ros.engine.checks import SMALLEST_PX
from derain_ros.engine.factory import create_engine
from derain_ros.errors import ImageError
from derain_ros.order import Order


class Derainer:
    """
    Takes the rain out of frames.

    Threads may share one: their calls take turns. A new frame size is compiled first, which takes
    about a second, unless ``any_size`` is set; sizes seen lately stay compiled.
    """

    def __init__(
        self,
        model: str | Path = 'fast',
        *,
        engine: str = 'auto',
        order: Order = 'bgr',
        any_size: bool = False,
    ) -> None:
        """
        Load a model.

        :param model: released name, or path of an ONNX file or of weights (safetensors; needs
            torch).
        :param engine: ``auto``: TensorRT where there is a GPU, once its engine is built, and else
            OpenVINO on the CPU; ``tensorrt``: the same, but demands the GPU; ``openvino``.
        :param order: channel order of the frames in and out, ``bgr`` as in OpenCV, or ``rgb``.
        :param any_size: compile once for frames of all sizes, on the CPU: less to wait for where
            each frame is of another size, a little slower where they are not.
        :raises ModelError: there is no such model, or it is damaged.
        :raises EngineError: the engine is unknown, or cannot run on this machine.
        :raises ImageError: the order is unknown.
        """
        if order not in ('bgr', 'rgb'):
            raise ImageError(f"order {order!r} is unknown; give 'bgr' or 'rgb'")
        self._model, self._order = str(model), order
        self._engine = create_engine(engine, self._model, any_size=any_size)
        self._lock = threading.Lock()

    @property
    def model(self) -> str:
        """The name or path of the model."""
        return self._model

    @property
    def engine(self) -> str:
        """What ran the last frames, ``openvino`` or ``tensorrt``."""
        return self._engine.name

    @property
    def precision(self) -> str:
        """What the network ran in, such as ``bf16``."""
        return self._engine.precision

    def __call__(self, frames: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """
        De-rain a frame, or a batch of frames of one size.

        :param frames: uint8 [H, W, 3] or [N, H, W, 3], H and W at least 16, of any strides; left
            as it is.
        :param out: C-contiguous array of the same dtype and shape, to receive the result; may be
            ``frames`` itself. None makes a new one.
        :returns: the result, of the shape of ``frames``; ``out`` if it is given.
        :raises ImageError: ``frames`` or ``out`` is not as above.
        :raises EngineError: the engine gave no result, or is closed.
        """
        _check('frames', frames)
        if out is None:
            out = np.empty_like(frames, order='C')
        else:
            _check('out', out)
            if out.shape != frames.shape:
                raise ImageError(f'out is {out.shape}; it must be {frames.shape}, as frames are')
            if not out.flags.c_contiguous or not out.flags.writeable:
                raise ImageError('out must be C-contiguous and writable; give a fresh array')
        batch = frames if frames.ndim == 4 else frames[None]
        if np.may_share_memory(frames, out):
            batch = batch.copy()
        with self._lock:
            self._engine.infer(batch, out.reshape(batch.shape), self._order)
        return out

    def close(self) -> None:
        """Free the engine; calls after this raise EngineError."""
        self._engine.close()

    def __enter__(self) -> 'Derainer':
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _check(name: str, array: np.ndarray) -> None:
    if not isinstance(array, np.ndarray):
        raise ImageError(f'{name} must be a NumPy array, not {type(array).__name__}')
    if array.dtype != np.uint8:
        raise ImageError(
            f'{name} must be uint8, 0 to 255, not {array.dtype}; of float images in [0, 1] give '
            '(255 * image).round().astype(np.uint8)'
        )
    if array.ndim not in (3, 4) or array.shape[-1] != 3:
        raise ImageError(
            f'{name} must be [H, W, 3] or [N, H, W, 3], not {array.shape}; give three colour '
            'channels'
        )
    if array.ndim == 4 and len(array) == 0:
        raise ImageError(f'{name} must hold at least one frame')
    height, width = array.shape[-3:-1]
    if min(height, width) < SMALLEST_PX:
        raise ImageError(
            f'{name} of {width}x{height} are too small to be de-rained; at least '
            f'{SMALLEST_PX}x{SMALLEST_PX} pixels, so pad them'
        )
