"""The de-raining node as a program."""

import signal
import sys

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException

from derain_ros.engine.base import Engine
from derain_ros.node.node import DerainNode


def main(engine: Engine | None = None) -> None:
    """Run the node until a signal, with the given engine or the one that the parameters name."""
    node, spinning = None, False

    def interrupt(*_: object) -> None:
        # rclpy ends spinning by itself; an exception may come in a destructor, which prints it
        if not spinning:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    rclpy.init()
    try:
        node = DerainNode(engine)
        node.start()
        spinning = True
        rclpy.spin(node)
    except ParameterException as error:
        sys.exit(f'error: {error}')
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except Exception:
        # a signal invalidates the context in the middle of whatever rclpy is doing
        if rclpy.ok():
            raise
    finally:
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()


if __name__ == '__main__':
    main()
