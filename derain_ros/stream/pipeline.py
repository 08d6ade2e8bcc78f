"""
From camera message to de-rained message, newest first, on a thread of its own.

No ROS here: messages are whatever has the fields of sensor_msgs/Image.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
import threading
import time
from typing import TYPE_CHECKING

from derain_ros.engine.base import Engine
from derain_ros.image import raw as images

if TYPE_CHECKING:
    from sensor_msgs.msg import Image


# seconds that the image in work may take beyond its deadline, when the pipeline closes
GRACE = 1.0


@dataclass(frozen=True)
class Counts:
    """What became of the images; each one received ends in one of the other four, or waits."""

    received: int = 0
    derained: int = 0
    replaced: int = 0
    passed_through: int = 0
    dropped: int = 0

    @property
    def finished(self) -> int:
        """Images that were taken up and are done with."""
        return self.derained + self.passed_through + self.dropped


@dataclass(frozen=True)
class Result:
    """
    What became of one image.

    :param message: the message to publish: de-rained; or as it came in; None where it is broken.
    :param error: why it is not de-rained; None where it is.
    :param latency: seconds from ``submit`` to now.
    """

    message: 'Image | None'
    error: Exception | None
    latency: float


class Pipeline:
    """
    De-rains the newest image, replacing any older one that still waits.

    Every image that is taken up reaches ``deliver``: de-rained, or unchanged where that failed or
    took too long. Only an image that contradicts itself is dropped, and one whose engine still
    hangs after ``close``.
    """

    def __init__(
        self,
        engine: Engine,
        output: 'Image',
        deliver: Callable[[Result], None],
        *,
        deadline: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Start the worker thread.

        :param output: message to write de-rained images into, the same one every time.
        :param deliver: called on the worker thread; ``output`` is its own until it returns.
        :param deadline: seconds from ``submit`` after which an image passes through unchanged.
        """
        self._engine, self._output, self._deliver = engine, output, deliver
        self._deadline, self._clock = deadline, clock
        self._counts = Counts()
        self._waiting: tuple[Image, float] | None = None
        self._closed = False
        self._changed = threading.Condition()
        self._worker = threading.Thread(target=self._work, name='derain', daemon=True)
        self._worker.start()

    @property
    def counts(self) -> Counts:
        """What became of the images so far."""
        with self._changed:
            return self._counts

    def submit(self, message: 'Image') -> None:
        """Hand over an image and return at once."""
        with self._changed:
            self._count('received')
            if self._waiting is not None:
                self._count('replaced')
            self._waiting = message, self._clock()
            self._changed.notify()

    def close(self) -> bool:
        """
        Let the image in work finish, forget the one that waits, and stop the thread.

        :returns: whether it stopped. An engine that hangs is left to itself, and what it gives in
            the end is not delivered; nothing else may use it.
        """
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._worker.join(self._deadline + GRACE)
        if self._worker.is_alive():
            self._deliver = lambda _: None
        return not self._worker.is_alive()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting is not None or self._closed)
                if self._closed:
                    return
                message, received = self._waiting
                self._waiting = None
            published, error = message, None
            try:
                published = self._derain(message, received)
            except Exception as problem:  # whatever it was, the next image gets its chance
                error = problem
                if not images.is_consistent(message):
                    published = None
            self._finish(published, error, received)
            error = None  # its traceback holds this frame, and with it the engine

    def _derain(self, message: 'Image', received: float) -> 'Image':
        frame = images.read(message)
        target = images.prepare(self._output, frame)
        left = max(0.0, self._deadline - (self._clock() - received))
        self._engine.infer(frame.pixels[None], target[None], frame.order, timeout=left)
        images.finish(self._output, frame, target)
        self._output.header = message.header
        return self._output

    def _finish(self, message: 'Image | None', error: Exception | None, received: float) -> None:
        with self._changed:
            self._count(
                'derained' if error is None else 'dropped' if message is None else 'passed_through'
            )
        self._deliver(Result(message, error, self._clock() - received))

    def _count(self, name: str) -> None:
        self._counts = replace(self._counts, **{name: getattr(self._counts, name) + 1})
