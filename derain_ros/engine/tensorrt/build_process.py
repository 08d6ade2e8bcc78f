"""Building TensorRT engines in another process, while the node runs on the CPU."""

from pathlib import Path
import subprocess
import sys

from derain_ros.engine.base import Engine, Log
from derain_ros.engine.tensorrt.cache import EngineCache
from derain_ros.engine.tensorrt.graph import Size
from derain_ros.errors import EngineError
from derain_ros.model.graph import Order


class BuildProcess:
    """Obtains TensorRT engines that another process builds, so that no frame waits for it."""

    def __init__(self, model: str, log: Log) -> None:
        """
        Name the model.

        :param model: released name or path of an ONNX file.
        """
        self._model, self._log = model, log
        self._process: subprocess.Popen | None = None
        self._closed = False
        self._rebuilt: set[Path] = set()

    def __call__(self, size: Size, order: Order) -> Engine:
        """
        Build an engine, or find it in the cache, and load it.

        :raises EngineError: it cannot be built, or not be loaded even when built anew, which is
            tried once.
        """
        from derain_ros.engine.tensorrt.engine import PlanError, TensorRtEngine

        cache = EngineCache()
        path = self._build(size, order)
        try:
            return TensorRtEngine(cache.read(path))
        except PlanError as error:
            if path in self._rebuilt:  # TensorRT refuses for want of memory too, and often then
                raise
            self._rebuilt.add(path)
            self._log.warning(f'building it anew: {error}')
        return TensorRtEngine(cache.read(self._build(size, order, '--rebuild')))

    def close(self) -> None:
        """End a build that is under way, and those still asked for as soon as they begin."""
        self._closed = True
        if self._process is not None:
            self._process.terminate()

    def _build(self, size: Size, order: Order, *options: str) -> Path:
        command = [
            sys.executable,
            '-m',
            'derain_ros.build_engine',
            self._model,
            '--size',
            f'{size.width}x{size.height}',
            '--batch',
            str(size.batch),
            '--order',
            order,
            *options,
        ]
        self._log.info(
            f'building the TensorRT engine for {size.batch} x {size.width}x'
            f'{size.height} {order} in the background'
        )
        # the frames have the first right to the processor
        self._process = subprocess.Popen(
            ['nice', *command], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        # collecting garbage may close this on any thread, so that a lock could lock itself out
        if self._closed:
            self._process.terminate()
        output, messages = self._process.communicate()
        lines = [line for line in messages.splitlines() if line.strip()]
        if self._process.returncode != 0:
            reason = lines[-1] if lines else f'exit status {self._process.returncode}'
            raise EngineError(f'TensorRT engine not built: {reason.removeprefix("error: ")}')
        for line in lines:
            self._log.info(line)
        return Path(output.splitlines()[-1])
