"""One camera: its newest image, its fates, its policy and its state."""

from collections.abc import Callable
from dataclasses import dataclass
import logging
from threading import Lock, RLock
import time
from typing import Any

from derain_ros.stream.codec import Codec
from derain_ros.stream.fates import Counts, Fate, Result
from derain_ros.stream.inspection import Inspection, Inspector
from derain_ros.stream.policy import DRY, Policy
from derain_ros.stream.state import StreamState

Deliver = Callable[[Result], None]

_log = logging.getLogger(__name__)


@dataclass(eq=False)
class Job:
    """An image on its way through a stream; moments are seconds of ``time.monotonic``."""

    stream: 'Stream'
    message: Any
    received_at: float
    is_settled: bool = False
    # it has left unchanged, and the gate wants to know whether it rains
    is_look: bool = False
    inspection: Inspection | None = None
    inference_s: float = 0.0

    @property
    def needs_result(self) -> bool:
        """Whether anybody waits for what the network makes of it."""
        return self.is_look or not self.is_settled

    @property
    def due_at(self) -> float:
        """When the image has to be published."""
        return self.received_at + self.stream.policy.deadline_s

    def pass_through(self, reason: str, *, fate: Fate = Fate.PASSED_THROUGH) -> None:
        """Deliver the image unchanged, unless it contradicts itself."""
        codec = self.stream.codec
        if codec.is_consistent(self.message):
            self.stream.settle(self, fate, self.message, reason)
            return
        try:
            codec.read(self.message)
        except Exception as error:  # what is wrong with it, whatever it was that came first
            reason = str(error)
        reason = f'it contradicts itself, so that it is no image ({reason})'
        self.stream.settle(self, Fate.DROPPED, None, reason)


class Stream:
    """
    One camera, of whose waiting images the newest wins.

    A stream is made by ``Scheduler.add_stream`` and belongs to that scheduler, whose lock guards
    ``waiting``, ``in_work`` and ``counts``.
    """

    def __init__(self, codec: Codec, deliver: Deliver, policy: Policy, lock: RLock) -> None:
        self.codec, self.policy = codec, policy
        self.inspector, self.state = Inspector(), StreamState()
        self.waiting: Job | None = None
        self.in_work: Job | None = None
        self.served_at = 0.0
        self._counts = Counts()
        self._deliver, self._lock = deliver, lock
        # results leave in the order of their images, whichever thread settles them
        self._delivery = Lock()

    @property
    def counts(self) -> Counts:
        """How many images were received, and their fates."""
        with self._lock:
            return self._counts

    def receive(self, message: Any) -> None:
        """
        Let an image wait, in place of an older one that still does.

        It does not wait while the gate is closed, but leaves at once; unless an older one, which
        must leave before it, is still at work.
        """
        job = Job(self, message, time.monotonic())
        with self._lock:
            self._counts = self._counts.with_received()
            reason = '' if self._has_unsettled() else self.policy.bypass_reason
            if not reason:
                if self.waiting is not None and not self.waiting.is_settled:
                    self._counts = self._counts.with_fate(Fate.REPLACED)
                self.waiting = job
                return
        job.pass_through(reason, fate=Fate.BYPASSED)
        with self._lock:
            is_free = self.waiting is None and self.in_work is None
            if is_free and self.policy.wants_look(job.received_at):
                self.policy.gate.begin_look(job.received_at)
                job.is_look, self.waiting = True, job

    def _has_unsettled(self) -> bool:
        return any(job is not None and not job.is_settled for job in (self.waiting, self.in_work))

    def take(self) -> Job | None:
        """Return the image that waits, and let it wait no more."""
        with self._lock:
            job, self.waiting = self.waiting, None
            return job

    def report_look(self, job: Job) -> None:
        """Deliver what was seen in an image that has left already; no message, and no fate."""
        latency_s = time.monotonic() - job.received_at
        result = Result(Fate.BYPASSED, None, DRY, latency_s, job.inspection, job.inference_s)
        with self._delivery:
            self._hand_over(result)

    def settle(self, job: Job, fate: Fate, message: Any, reason: str) -> None:
        """Set the fate of an image and deliver it, unless it has one already."""
        with self._delivery:
            with self._lock:
                if job.is_settled:
                    return
                job.is_settled = True
                self._counts = self._counts.with_fate(fate)
            latency_s = time.monotonic() - job.received_at
            result = Result(fate, message, reason, latency_s, job.inspection, job.inference_s)
            self._hand_over(result)

    def _hand_over(self, result: Result) -> None:
        try:
            self._deliver(result)
        except Exception:  # the next image gets its chance
            _log.exception('a result was not delivered')
