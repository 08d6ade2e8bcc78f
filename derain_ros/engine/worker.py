"""A thread of its own for work that may take long or for ever."""

from collections.abc import Callable
from queue import SimpleQueue
import threading
from typing import Generic, TypeVar

Job = TypeVar('Job')


class Worker(Generic[Job]):
    """
    Runs jobs one after the other on a daemon thread.

    The end of the process does not wait for it, because a GPU that hangs lets nobody go.
    """

    def __init__(self, name: str, run: Callable[[Job], None]) -> None:
        """
        Start the thread.

        :param run: does one job, and raises nothing.
        """
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        threading.Thread(target=_work, args=(self._jobs, run), name=name, daemon=True).start()

    def submit(self, job: Job) -> None:
        """Have a job done after those submitted before, and return at once."""
        self._jobs.put(job)

    def stop(self) -> None:
        """End the thread after the jobs submitted so far, and return at once."""
        self._jobs.put(None)


def _work(jobs: SimpleQueue[Job | None], run: Callable[[Job], None]) -> None:
    while (job := jobs.get()) is not None:
        run(job)
        del job  # else it is held until the next one
