"""Engines that fail, hang, or are at work when the node has to end."""

import signal
import time

from diagnostic_msgs.msg import DiagnosticStatus
from helpers.data import ROOT
from helpers.stack import image, PATIENCE
from helpers.streams import until
from lifecycle_msgs.msg import Transition
import pytest


@pytest.mark.parametrize('stop', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_node_cleanly(stack, start, stop):
    process = start(patience=())
    stack.connect()
    stack.camera.publish(image(1080, 1920))
    time.sleep(0.2)  # now the engine is at work on it
    process.send_signal(stop)
    assert process.wait(timeout=PATIENCE) == 0
    log = process.log.read_text()
    for trouble in ('Traceback', 'the node stops', 'Failed to publish'):
        assert trouble not in log


def test_ctrl_c_during_the_imports_is_no_traceback(start, monkeypatch, tmp_path):
    (tmp_path / 'rclpy.py').write_text(
        'import time\nprint("importing", flush=True)\ntime.sleep(60)\n'
    )
    monkeypatch.setenv('PYTHONPATH', f'{tmp_path}:{ROOT}')
    process = start()
    until(lambda: 'importing\n' in process.log.read_text())
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=PATIENCE) == 0
    assert process.log.read_text() == 'importing\n'


BUSY = """
import time
from derain_ros.engine.factory import create_engine
from derain_ros.node.__main__ import main

class Busy:
    name, precision, problem = 'busy', 'bf16', ''

    def __init__(self):
        self.engine = create_engine('openvino', 'fast')

    def infer(self, frames, out, order, timeout=None):
        end = time.monotonic() + 20
        while frames.shape[1] == 48 and time.monotonic() < end:
            self.engine.infer(frames, out, order)
        out[:] = frames

    def close(self):
        self.engine.close()

main(Busy())
"""


def test_a_signal_ends_the_node_cleanly_while_openvino_is_at_work(stack, start):
    process = start(program=('-c', BUSY))
    stack.connect()
    stack.camera.publish(image())
    time.sleep(1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=PATIENCE) == 0, process.log.read_text()


BROKEN_GPU = """
import logging
from derain_ros.engine.factory import create_engine
from derain_ros.errors import EngineError
from derain_ros.engine.failover import AutoEngine
from derain_ros.node.__main__ import main

class Broken:
    def build(self, size, order):
        raise EngineError('the GPU has fallen off the bus')
    def close(self):
        pass

main(AutoEngine(create_engine('openvino', 'fast'), Broken(), logging.getLogger()))
"""


def test_a_gpu_that_fails_is_a_warning_and_images_are_derained_all_the_same(stack, start):
    start(program=('-c', BROKEN_GPU))
    stack.connect()
    stack.send(image())
    assert stack.counts_since_connected(1) == {'received': 1, 'derained': 1}
    broken = 'on openvino, TensorRT again in 10 s: the GPU has fallen off the bus'
    stack.until(lambda: any(broken in warning for warning in stack.warnings()))


HANGING = """
import time
from helpers.stack import Copy
from derain_ros.node.__main__ import main

class Hanging(Copy):
    def infer(self, frames, out, order, timeout=None):
        time.sleep(60)

main(Hanging())
"""


def test_while_an_engine_hangs_images_pass_through_and_that_is_an_error(stack, start, monkeypatch):
    monkeypatch.setenv('PYTHONPATH', f'{ROOT / "test"}:{ROOT}')
    process = start('-p', 'deadline:=0.2', program=('-c', HANGING), patience=())

    def reported() -> bool:
        stack.camera.publish(image())
        return any(
            status.level == DiagnosticStatus.ERROR
            and 'copy has been at work on one image' in status.message
            for status in stack.statuses
        )

    stack.until(reported)
    stack.until(lambda: len(stack.received) > 3)
    assert stack.received[-1] == image(), 'unchanged'
    assert stack.transition(Transition.TRANSITION_DEACTIVATE)
    assert not stack.transition(Transition.TRANSITION_ACTIVATE)
    stack.until(lambda: 'not activated: the engine is still at work' in stack.statuses[-1].message)
    assert stack.transition(Transition.TRANSITION_CLEANUP)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=PATIENCE) == 0
