"""A run that has to end at a time: its steps, and with them its schedule, follow the clock."""

from dataclasses import replace
import time

from training.loop.run import Run

# for the last validation, and for writing what is kept
RESERVE_S = 10.0
# between two looks at the clock; a GPU has done by then what it was given
EVERY_STEPS = 20


class Clock:
    """Minutes that a run may take, counted from now on."""

    def __init__(self, minutes: float) -> None:
        """Start counting; a tenth is kept for the end, or ``RESERVE_S`` if that is less."""
        self._end = time.monotonic() + 60 * minutes - min(RESERVE_S, 6 * minutes)
        self._begun: tuple[int, float] | None = None
        self._most: int | None = None

    def fit(self, run: Run) -> None:
        """
        Set the steps of a run to as many as will be taken in time, as it goes now.

        They are never more than its experiment asks for, and at least those already taken.
        """
        now = time.monotonic()
        if self._begun is None or self._most is None:
            # the first steps of a run are slower than all others
            self._begun, self._most = (run.step, now), run.config.steps
        elif now >= self._end:
            run.config = replace(run.config, steps=max(run.step, 1))
        elif run.step % EVERY_STEPS == 0:
            step, begun = self._begun
            rate = (run.step - step) / (now - begun)
            steps = min(self._most, run.step + max(1, int(rate * (self._end - now))))
            run.config = replace(run.config, steps=steps)
