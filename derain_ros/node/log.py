"""A log of the node that what happens with every image cannot fill."""

import time

from rclpy.node import Node

PERIOD_S = 5.0


class ThrottledLog:
    """Logs errors, of each kind at most one in ``PERIOD_S``."""

    def __init__(self, node: Node) -> None:
        self._logger = node.get_logger()
        self._logged_at: dict[str, float] = {}

    def error(self, kind: str, message: str) -> None:
        """
        Log an error, unless another one of its kind was logged a moment ago.

        :param kind: such as the name of a camera.
        """
        # the clock of the system may be set back: nothing would be logged for as long
        now = time.monotonic()
        if now - self._logged_at.get(kind, -PERIOD_S) >= PERIOD_S:
            self._logged_at[kind] = now
            self._logger.error(message)
