"""
The rain gate: in dry weather images pass through, bit for bit, without the network.

To de-rain everything is not harmless: a detector may lose accuracy on images that were fine. So
the gate looks at how much rain the network takes out (``inspection.Inspection.rain``).
"""

from collections import deque
from dataclasses import dataclass, field
import math
from typing import get_args, Literal

GateMode = Literal['always', 'auto', 'off']
GATE_MODES: tuple[str, ...] = get_args(GateMode)

# Share of an image that lost streaks: one image above the first, and it rains; an average of
# DRY_FOR_S below the second, and it is dry. Of `fast`, by training/calibrate_gate.py, which says
# how often they are wrong; rain that passes counts more there than dry images that do not.
RAINING, DRY = 0.005, 0.0037
# A gust must not switch the gate, nor a pause of the rain.
DRY_FOR_S = 3.0
# How often an image is looked at in dry weather: two looks a second, so that rain is noticed
# within a second though one image in ten of a drizzle looks dry.
LOOK_EVERY_S = 0.5


@dataclass
class Gate:
    """
    The gate of one stream; moments are seconds of ``time.monotonic``.

    :param mode: ``always`` de-rains every image, ``off`` none; ``auto`` those in rain.
    :param raining, dry: the thresholds of the rain number.
    """

    mode: GateMode = 'always'
    raining: float = RAINING
    dry: float = DRY
    is_dry: bool = field(default=False, init=False)
    _opened_at: float = field(default=math.inf, init=False)
    _looked_at: float = field(default=-math.inf, init=False)
    # moments and rain numbers of the last DRY_FOR_S
    _recent: deque[tuple[float, float]] = field(default_factory=deque, init=False)

    @property
    def is_closed(self) -> bool:
        """Whether images pass through without waiting for the network."""
        return self.mode == 'off' or (self.mode == 'auto' and self.is_dry)

    def wants_look(self, now: float) -> bool:
        """Return whether an image that passes through is to be looked at all the same."""
        return self.mode == 'auto' and self.is_dry and now >= self._looked_at + LOOK_EVERY_S

    def begin_look(self, now: float) -> None:
        """Note that an image is looked at, so that the next ones are not."""
        self._looked_at = now

    def open(self, now: float) -> None:
        """De-rain from now on: it rains, or nobody knows whether it does."""
        self.is_dry, self._opened_at = False, now
        self._recent.clear()

    def note_rain(self, rain: float, now: float) -> bool:
        """
        Note how much rain was found in an image.

        :returns: whether this image passes through, because it is dry.
        """
        if self.is_dry and rain > self.raining:
            self.open(now)
        if not self.is_dry:
            self._opened_at = min(self._opened_at, now)
            self._recent.append((now, rain))
            while self._recent[0][0] < now - DRY_FOR_S:
                self._recent.popleft()
            average = sum(number for _, number in self._recent) / len(self._recent)
            if now - self._opened_at >= DRY_FOR_S and average <= self.dry:
                self.is_dry, self._looked_at = True, now
        return self.mode == 'auto' and self.is_dry
