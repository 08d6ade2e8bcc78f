"""
The de-raining node as a program.

    ros2 run derain_ros derain_node --ros-args -r image_raw:=/camera/front/image_raw
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from derain_ros.engine.base import Engine


def main(engine: Engine | None = None, arguments: list[str] | None = None) -> None:
    """
    Run the node until a signal.

    :param engine: runs instead of the one that the parameters name.
    :param arguments: None takes those of the command line.
    """
    # the imports take seconds, in which Ctrl-C would end in a traceback
    signal.signal(signal.SIGINT, lambda *_: os._exit(0))
    from derain_ros.node.program import run

    run(engine, arguments)


if __name__ == '__main__':
    main()
