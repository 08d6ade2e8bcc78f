"""
The rain gate: in dry weather images pass through, bit for bit, without the network.

To de-rain everything is not harmless: a detector may lose accuracy on images that were fine. So
the gate looks at how much rain the network takes out (``inspection.Inspection.rain``).
"""

from dataclasses import dataclass, field
from typing import get_args, Literal

GateMode = Literal['always', 'auto', 'off']
GATE_MODES: tuple[str, ...] = get_args(GateMode)

# Share of the image that lost streaks: above the first it rains, below the second it is dry.
RAINING, DRY = 0.03, 0.015
# So long below DRY before images pass through; a gust must not switch the gate.
DRY_FOR_S = 3.0
# How often an image is looked at in dry weather: rain is noticed within a second.
LOOK_EVERY_S = 0.5


@dataclass
class Gate:
    """
    The gate of one stream; moments are seconds of ``time.monotonic``.

    :param mode: ``always`` de-rains every image, ``off`` none; ``auto`` those in rain.
    """

    mode: GateMode = 'always'
    is_dry: bool = field(default=False, init=False)
    _rained_at: float | None = field(default=None, init=False)
    _looked_at: float = field(default=float('-inf'), init=False)

    def is_closed(self, now: float) -> bool:
        """Return whether an image passes through without a look at it."""
        if self.mode == 'auto':
            return self.is_dry and now < self._looked_at + LOOK_EVERY_S
        return self.mode == 'off'

    def note_rain(self, rain: float, now: float) -> bool:
        """
        Note how much rain was found in an image.

        :returns: whether this image passes through, because it is dry.
        """
        self._looked_at = now
        if rain > (RAINING if self.is_dry else DRY) or self._rained_at is None:
            self._rained_at, self.is_dry = now, False
        elif now - self._rained_at >= DRY_FOR_S:
            self.is_dry = True
        return self.mode == 'auto' and self.is_dry
