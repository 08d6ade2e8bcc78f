"""What to do with an image: de-rain it, pass it through, or bypass the network."""

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from derain_ros.stream.gate import Gate

# More than the misses after which a GPU is given up for the CPU (engine/failover.py), so that the
# CPU gets its chance first.
MISSES_IN_A_ROW = 5
SWITCHED_OFF, DRY = 'switched off', 'it is dry'
# grey levels: no sample can change by more
UNBOUNDED = 255
FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 60.0


class Action(Enum):
    """What to do with an image."""

    DERAIN = 'derain'
    PASS_THROUGH = 'pass through'
    BYPASS = 'bypass'


class Decision(NamedTuple):
    """An action, and the reason unless it is DERAIN."""

    action: Action
    reason: str = ''


@dataclass
class Policy:
    """
    Decides for every image of one stream.

    An engine that misses ``MISSES_IN_A_ROW`` deadlines is too slow for this camera. To wait for it
    costs every image its deadline. So images pass through at once, and one image now and then is
    tried: after 5 s, 10 s, up to every minute.

    All moments are seconds of ``time.monotonic``.

    :param deadline_s: seconds from reception after which an image passes through.
    :param gate: says which images need the network at all.
    :param max_change: grey levels by which a sample may change at most.
    """

    deadline_s: float
    gate: Gate = field(default_factory=Gate)
    max_change: int = UNBOUNDED
    _misses: int = field(default=0, init=False)
    _retry_at: float = field(default=0.0, init=False)

    def decide(self, received_at: float, now: float) -> Decision:
        """Return what to do with an image that was received at a moment."""
        if self.gate.is_closed:
            return Decision(Action.BYPASS, self.bypass_reason)
        if now >= received_at + self.deadline_s:
            return Decision(
                Action.PASS_THROUGH,
                f'waited longer than the deadline of {self.deadline_s * 1e3:.0f} ms',
            )
        if self._is_left_alone(now):
            return Decision(
                Action.PASS_THROUGH,
                f'the engine missed the deadline of {self.deadline_s * 1e3:.0f} ms '
                f'{self._misses} times in a row; it is tried again in '
                f'{self._retry_at - now:.0f} s: raise the deadline, or give smaller images',
            )
        return Decision(Action.DERAIN)

    @property
    def bypass_reason(self) -> str:
        """Why the gate is closed; empty if it is open."""
        if not self.gate.is_closed:
            return ''
        return SWITCHED_OFF if self.gate.mode == 'off' else DRY

    def wants_look(self, now: float) -> bool:
        """Return whether the gate wants the network to look at an image that passes through."""
        return self.gate.wants_look(now) and not self._is_left_alone(now)

    def _is_left_alone(self, now: float) -> bool:
        return self.is_slow and now < self._retry_at

    def set_deadline(self, deadline_s: float) -> None:
        """Change the deadline; an engine that was too slow for another one is tried at once."""
        if deadline_s != self.deadline_s:
            self.deadline_s, self._misses = deadline_s, 0

    @property
    def is_slow(self) -> bool:
        """Whether the engine is too slow for this stream."""
        return self._misses >= MISSES_IN_A_ROW

    def note_success(self) -> None:
        """Note that an image was de-rained in time."""
        self._misses = 0

    def note_miss(self, now: float) -> None:
        """Note that an image cost its whole deadline and was not de-rained."""
        self._misses += 1
        doublings = max(0, self._misses - MISSES_IN_A_ROW)
        self._retry_at = now + min(FIRST_PAUSE_S * 2.0 ** min(doublings, 10), LONGEST_PAUSE_S)
