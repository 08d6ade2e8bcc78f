"""What the program of the node does: arguments, signals, and an end without leftovers."""

import argparse
import os
import signal
import sys
import threading

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.utilities import remove_ros_args

from derain_ros import __version__
from derain_ros.engine.base import Engine
from derain_ros.node.memory import keep_freed_memory
from derain_ros.node.node import DerainNode
from derain_ros.stream.scheduler import WORKER_NAME


def _check_arguments(arguments: list[str]) -> None:
    """
    Answer --help and --version, and refuse what is no argument; each ends the program.

    :raises Exception: rclpy's own, not public: a ROS argument is wrong.
    """
    parser = argparse.ArgumentParser(
        prog='derain_node',
        description='Take the rain out of image_raw and publish image_derained.',
        epilog='ROS arguments follow --ros-args, such as -r image_raw:=/camera/image_raw, '
        '-p model:=fast, --params-file FILE, --log-level LEVEL.',
    )
    parser.add_argument('--version', action='version', version=f'derain_ros {__version__}')
    parser.parse_args(remove_ros_args(['derain_node', *arguments])[1:])


def spin(node: DerainNode) -> None:
    """Serve a node until the end of its context; what a callback raises does not end it."""
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        while node.context.ok():
            try:
                executor.spin()
            except (KeyboardInterrupt, ExternalShutdownException):
                return
            except Exception as error:
                # a signal invalidates the context in the middle of whatever rclpy is doing
                if node.context.ok():
                    node.note_failure(error)
    finally:
        executor.remove_node(node)


def _end_beside_a_busy_engine() -> None:
    """
    End the process at once if a frame is in work.

    Its thread would come back from C++ to an interpreter that is gone, which aborts the process.
    """
    if any(thread.name == WORKER_NAME for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def run(engine: Engine | None, arguments: list[str] | None) -> None:
    """Run the node until a signal, as ``main`` of ``__main__`` has it."""
    keep_freed_memory()  # before there are threads
    arguments = sys.argv[1:] if arguments is None else arguments
    node, spinning = None, False

    def interrupt(*_: object) -> None:
        # rclpy ends spinning by itself; an exception may come in a destructor, which prints it
        if not spinning:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    try:
        try:
            _check_arguments(arguments)
            rclpy.init(args=arguments)
            node = DerainNode(engine)
        except Exception as error:  # of rclpy: it has a type for each kind, few of them public
            reason = str(error).split(', at /')[0]
            print(f'error: the node did not start: {reason}', file=sys.stderr)
            sys.exit(2)
        node.start()
        spinning = True
        spin(node)
    except KeyboardInterrupt:
        pass
    finally:
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
        _end_beside_a_busy_engine()
