"""What becomes of an image, and how many images met which fate."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from types import MappingProxyType
from typing import Any

from derain_ros.stream.inspection import Inspection


class Fate(Enum):
    """
    What became of an image.

    DERAINED: published without its rain. PASSED_THROUGH: published unchanged, because it could
    not be de-rained, or not in time. BYPASSED: published unchanged, because it is dry, or
    de-raining is switched off. REPLACED: a newer image came while it waited. DROPPED: it
    contradicts itself, so that it is no image.
    """

    DERAINED = 'derained'
    PASSED_THROUGH = 'passed_through'
    BYPASSED = 'bypassed'
    REPLACED = 'replaced'
    DROPPED = 'dropped'


NONE_YET: Mapping[Fate, int] = MappingProxyType(dict.fromkeys(Fate, 0))


@dataclass(frozen=True)
class Counts:
    """
    How many images a stream received, and their fates.

    An image without a fate waits, or is in work: received = sum of the fates + waiting.
    """

    received: int = 0
    fates: Mapping[Fate, int] = field(default_factory=lambda: NONE_YET)

    @property
    def finished(self) -> int:
        """Images with a fate."""
        return sum(self.fates.values())

    @property
    def waiting(self) -> int:
        """Images without a fate: at most one in work, and one in the slot."""
        return self.received - self.finished

    def with_received(self) -> 'Counts':
        """Return these counts and one image more."""
        return replace(self, received=self.received + 1)

    def with_fate(self, fate: Fate) -> 'Counts':
        """Return these counts and one fate more."""
        return replace(self, fates={**self.fates, fate: self.fates[fate] + 1})

    def since(self, earlier: 'Counts') -> 'Counts':
        """Return what was counted after ``earlier``."""
        return Counts(
            self.received - earlier.received,
            {fate: count - earlier.fates[fate] for fate, count in self.fates.items()},
        )


@dataclass(frozen=True)
class Result:
    """
    One image and its fate.

    :param message: the message to publish; None if it was dropped, or has left already and was
        only looked at, for the rain gate.
    :param reason: why the image was not de-rained; empty if it was.
    :param latency_s: seconds from ``Scheduler.submit`` to now.
    :param inspection: what the network changed; None if it did not run.
    :param inference_s: seconds that the engine took, of the whole batch; 0 if it did not run.
    """

    fate: Fate
    message: Any
    reason: str
    latency_s: float
    inspection: Inspection | None = None
    inference_s: float = 0.0
