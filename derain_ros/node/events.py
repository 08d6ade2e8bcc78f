"""What DDS tells of topics, as far as the rclpy of a distribution passes it on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks


def on_match(callback: Callable[[], None]) -> PublisherEventCallbacks | None:
    """Return events that call back when a subscriber comes or goes; None where none is told."""
    try:
        return PublisherEventCallbacks(matched=lambda _: callback())
    except TypeError:  # Humble: the node looks once a second
        return None


def on_loss(callback: Callable[[int], None]) -> SubscriptionEventCallbacks:
    """Return events that call back with how many messages were lost on their way."""

    def lost(event: Any) -> None:
        callback(event.total_count_change)

    return SubscriptionEventCallbacks(message_lost=lost)
