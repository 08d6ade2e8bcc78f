"""Camera messages without ROS, and engines that do as a test says."""

from dataclasses import dataclass, field
from threading import Event
import time
from types import SimpleNamespace

import numpy as np

from derain_ros.image.raw import RawCodec
from derain_ros.stream.fates import Fate, Result
from derain_ros.stream.policy import Policy
from derain_ros.stream.scheduler import Scheduler
from derain_ros.stream.stream import Stream

PATIENCE_S = 20


@dataclass
class Message:
    """The fields of sensor_msgs/Image."""

    height: int = 32
    width: int = 48
    encoding: str = 'bgr8'
    step: int = 144
    is_bigendian: int = 0
    data: bytes = b''
    header: SimpleNamespace = field(
        default_factory=lambda: SimpleNamespace(stamp=SimpleNamespace(sec=0, nanosec=0))
    )


def message(number: int = 0, height: int = 32, width: int = 48, encoding: str = 'bgr8') -> Message:
    """Return a picture that differs from number to number, and is stamped with it."""
    pixels = np.random.default_rng(number).integers(0, 256, height * width * 3, np.uint8)
    image = Message(height, width, encoding, width * 3, data=pixels.tobytes())
    image.header.stamp.sec = number
    return image


class FakeEngine:
    """Copies frames; notes the batches; waits and fails as told."""

    name, precision, problem = 'fake', 'u8', ''

    def __init__(self) -> None:
        self.batches: list[tuple[tuple[int, ...], str]] = []
        self.seconds = 0.0
        self.error: Exception | None = None
        self.goes_on = Event()
        self.goes_on.set()
        self.entered = Event()

    def infer(self, frames, out, order, timeout=None) -> None:
        self.batches.append((frames.shape, order))
        self.entered.set()
        time.sleep(self.seconds)
        self.goes_on.wait(PATIENCE_S)
        if self.error is not None:
            raise self.error
        out[:] = frames

    def close(self) -> None:
        pass


class Camera:
    """A stream, and what came out of it."""

    def __init__(self, scheduler: Scheduler, deadline_s: float = 10.0) -> None:
        self.results: list[Result] = []
        # a result's message is used again: keep what is in it now
        self.stamps: list[int] = []
        self.scheduler = scheduler
        self.stream: Stream = scheduler.add_stream(
            RawCodec(Message()), self._deliver, Policy(deadline_s)
        )

    def _deliver(self, result: Result) -> None:
        self.results.append(result)
        if result.message is not None:
            self.stamps.append(result.message.header.stamp.sec)

    def send(self, image: Message) -> None:
        self.scheduler.submit(self.stream, image)

    def count(self, fate: Fate) -> int:
        return self.stream.counts.fates[fate]


def until(condition) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, 'waited in vain'
        time.sleep(0.001)
