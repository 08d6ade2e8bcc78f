"""Many camera streams, one engine: who is served next, and what leaves when time is up."""

from collections.abc import Iterator
import math
import threading
import time
from typing import Any

from derain_ros.engine.base import Engine
from derain_ros.stream.batch import serve
from derain_ros.stream.codec import Codec
from derain_ros.stream.policy import Policy
from derain_ros.stream.stream import Deliver, Job, Stream

# An engine that keeps its deadline answers within this time after it.
GRACE_S = 0.1
# Of the thread that infers.
WORKER_NAME = 'derain'
# How long ``close`` waits for the images in work. A lifecycle manager gives a transition 5 s.
PATIENCE_S = 2.0


class Scheduler:
    """
    De-rains the newest image of every stream; the stream that was served longest ago is next.

    Two threads: one infers; the other passes images through whose deadline is over, also if the
    engine hangs. While the gate of a stream is closed its images leave in ``submit``. So every
    image that is received leaves: de-rained, or unchanged and on time, or replaced by a newer one.
    Only a message that contradicts itself is dropped.
    """

    def __init__(self, engine: Engine, *, max_batch: int = 1) -> None:
        """
        Start both threads.

        :param max_batch: so many frames of equal size and order, each of another stream, are
            inferred at once.
        """
        self._engine, self._max_batch = engine, max_batch
        self._streams: list[Stream] = []
        self._closed = False
        self._lock = threading.RLock()
        self._received = threading.Condition(self._lock)
        self._due = threading.Condition(self._lock)
        self._worker = threading.Thread(target=self._work, name=WORKER_NAME, daemon=True)
        self._watch = threading.Thread(target=self._watch_deadlines, name='deadline', daemon=True)
        self._worker.start()
        self._watch.start()

    def add_stream(self, codec: Codec, deliver: Deliver, policy: Policy) -> Stream:
        """
        Return a new stream.

        :param deliver: called with every result, on one of the scheduler's threads or in
            ``submit``, never on two threads at once; the message is its own until it returns.
        """
        stream = Stream(codec, deliver, policy, self._lock)
        with self._lock:
            self._streams.append(stream)
            self._due.notify()
        return stream

    def submit(self, stream: Stream, message: Any) -> None:
        """Hand over an image of a stream and return at once."""
        stream.receive(message)
        with self._lock:
            if stream.waiting is not None:
                self._received.notify()
            if self._hangs_since() < math.inf:
                self._due.notify()

    def set_deadline(self, stream: Stream, deadline_s: float) -> None:
        """Change the deadline of a stream, from the image that waits on."""
        with self._lock:
            stream.policy.set_deadline(deadline_s)
            self._due.notify()

    @property
    def overdue_s(self) -> float:
        """For how many seconds the engine has been at work beyond a deadline; 0 if it is not."""
        with self._lock:
            return max(0.0, time.monotonic() - self._hangs_since())

    @property
    def is_stopped(self) -> bool:
        """Whether the engine is free for another scheduler, after ``close``."""
        return not self._worker.is_alive()

    def close(self) -> bool:
        """
        Let the images in work finish, pass the waiting ones through, and stop.

        :returns: whether the engine is free. An engine that is still at work after ``PATIENCE_S``
            is left to itself; its images pass through.
        """
        with self._lock:
            self._closed = True
            self._received.notify_all()
            self._due.notify_all()
        self._worker.join(PATIENCE_S)
        self._watch.join()
        for stream in self._streams:
            for job in (stream.in_work, stream.take()):
                if job is not None:
                    job.pass_through('the node stops')
        return self.is_stopped

    def _work(self) -> None:
        while jobs := self._next_jobs():
            serve(self._engine, jobs)
            with self._lock:
                for job in jobs:
                    job.stream.in_work = None
            del job, jobs  # they hold messages, until the next image comes

    def _next_jobs(self) -> list[Job]:
        """Wait for images and return those of the next batch, none at the end."""
        with self._lock:
            self._received.wait_for(lambda: self._closed or any(s.waiting for s in self._streams))
            if self._closed:
                return []
            waiting = [job for stream in self._streams if (job := stream.waiting) is not None]
            waiting.sort(key=lambda job: job.stream.served_at)
            kinds = [job.stream.codec.kind(job.message) for job in waiting]
            batch = [job for job, kind in zip(waiting, kinds, strict=True) if kind == kinds[0]]
            for job in (jobs := batch[: self._max_batch]):
                job.stream.in_work = job.stream.take()
                job.stream.served_at = time.monotonic()
            return jobs

    def _watch_deadlines(self) -> None:
        while True:
            with self._lock:
                if self._closed:
                    return
                now = time.monotonic()
                overdue = list(self._take_overdue(now))
                if not overdue:
                    self._due.wait(self._next_due(now) - now)
            for job, reason in overdue:
                job.pass_through(reason)
            overdue.clear()

    def _take_overdue(self, now: float) -> Iterator[tuple[Job, str]]:
        hangs_s = now - self._hangs_since()
        for stream in self._streams:
            deadline = f'the deadline of {stream.policy.deadline_s * 1e3:.0f} ms'
            job = stream.in_work
            if job is not None and not job.is_settled and now >= job.due_at + GRACE_S:
                yield job, f'{self._engine.name} gave no result within {deadline}'
            job = stream.waiting
            if job is not None and hangs_s > 0:
                stream.take()
                name = self._engine.name
                yield job, f'{name} has been at work on one image {hangs_s:.1f} s too long'
            elif job is not None and now >= job.due_at:
                stream.take()
                yield job, f'waited longer than {deadline}'

    def _next_due(self, now: float) -> float:
        """Return when to look again: an image that comes from now on is due no earlier."""
        dues = [now + 60.0]
        for stream in self._streams:
            dues.append(now + stream.policy.deadline_s)
            if stream.waiting is not None:
                dues.append(stream.waiting.due_at)
            if stream.in_work is not None and not stream.in_work.is_settled:
                dues.append(stream.in_work.due_at + GRACE_S)
        return min(dues)

    def _hangs_since(self) -> float:
        """Return since when the engine has been overdue, infinite if it is not."""
        jobs = [job for stream in self._streams if (job := stream.in_work) is not None]
        since = min((job.due_at + GRACE_S for job in jobs), default=math.inf)
        return since if since <= time.monotonic() else math.inf
