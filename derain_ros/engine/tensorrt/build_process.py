"""
Building TensorRT engines in another process, so that no frame waits for it.

Both ends of the pipe are here. The other process is started with one request, and answers with
one line on its standard output, both JSON; what it writes to standard error is for the log.
"""

from collections.abc import Callable
import contextlib
import json
import logging
from pathlib import Path
import subprocess
import sys
import threading

from derain_ros.engine.base import Engine, Log
from derain_ros.engine.self_test import SelfTestError
from derain_ros.engine.tensorrt.cache import EngineCache
from derain_ros.engine.tensorrt.graph import Size
from derain_ros.errors import DerainError, EngineError
from derain_ros.order import Order

Check = Callable[[Engine, Size, Order], None]


class BuildProcess:
    """Builds TensorRT engines in another process, and loads them in this one."""

    def __init__(
        self, model: str, log: Log, check: Check = lambda engine, size, order: None
    ) -> None:
        """
        Name the model.

        :param model: released name, path of an ONNX file, or of weights (needs torch).
        :param check: raises EngineError where an engine just loaded may not be used.
        """
        self._model, self._log, self._check = model, log, check
        self._process: subprocess.Popen[str] | None = None
        self._closed = False
        self._rebuilt: set[Path] = set()

    def build(self, size: Size, order: Order) -> Engine:
        """
        Build an engine, or find it in the cache, and load it.

        :raises EngineError: it cannot be built; or it cannot be loaded or is wrong even when
            built anew, which is tried once.
        """
        from derain_ros.engine.tensorrt.engine import PlanError

        path = self._built(size, order)
        try:
            return self._load(path, size, order)
        except (PlanError, SelfTestError) as error:
            if path in self._rebuilt:  # TensorRT refuses for want of memory too, and often then
                raise
            self._rebuilt.add(path)
            self._log.warning(f'building it anew: {error}')
        return self._load(self._built(size, order, rebuild=True), size, order)

    def close(self) -> None:
        """End a build that is under way, and refuse those still asked for; return at once."""
        self._closed = True
        if self._process is not None:
            self._process.terminate()

    def _load(self, path: Path, size: Size, order: Order) -> Engine:
        from derain_ros.engine.tensorrt.engine import TensorRtEngine

        engine = TensorRtEngine(EngineCache().read(path))
        try:
            self._check(engine, size, order)
        except EngineError:
            # on a GPU that hangs this never returns
            threading.Thread(target=engine.close, daemon=True).start()
            raise
        return engine

    def _built(self, size: Size, order: Order, *, rebuild: bool = False) -> Path:
        """Return where the engine lies in the cache; the other process built it, or found it."""
        if self._closed:
            raise EngineError('TensorRT engine not built: the engine is closed')
        self._log.info(
            f'building the TensorRT engine for {size.batch} x {size.width}x'
            f'{size.height} {order} in the background'
        )
        request = {'model': self._model, 'size': size, 'order': order, 'rebuild': rebuild}
        # the frames have the first right to the processor
        self._process = subprocess.Popen(
            ['nice', sys.executable, '-m', __name__, json.dumps(request)],
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        if self._closed:  # since the check above
            self._process.terminate()
        output, messages = self._process.communicate()
        lines = [line for line in messages.splitlines() if line.strip()]
        if self._process.returncode != 0:
            reason = lines[-1] if lines else f'exit status {self._process.returncode}'
            raise EngineError(f'TensorRT engine not built: {reason}')
        reply = json.loads(output.splitlines()[-1])
        if 'error' in reply:
            raise EngineError(f'TensorRT engine not built: {reply["error"]}')
        for line in lines:
            self._log.info(line)
        return Path(reply['path'])


def main() -> None:
    """Build what the request in the only argument asks for, and answer."""
    from derain_ros.engine.tensorrt.build import build_engine

    logging.basicConfig(format='%(message)s', level=logging.INFO)
    request = json.loads(sys.argv[1])
    try:
        entry = build_engine(
            request['model'],
            Size(*request['size']),
            order=request['order'],
            rebuild=request['rebuild'],
        )
    except DerainError as error:
        print(json.dumps({'error': str(error)}))
    else:
        print(json.dumps({'path': str(entry.path)}))


if __name__ == '__main__':
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C ends the node, and this with it
        main()
