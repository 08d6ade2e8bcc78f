"""What happens in cars: sizes that change, messages that are none, a flood, a kill, a manager."""

from array import array
from itertools import cycle, islice, permutations
from pathlib import Path
import random
import subprocess

from helpers.stack import image
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState
import rclpy
from sensor_msgs.msg import Image

from derain_ros.node.handshake import is_complete
from derain_ros.node.transport import profile_variable

MARK = 'out[:] = frames ^ 1'
PATIENT = ('-p', 'deadline:=20.0')


def marked(message: Image) -> Image:
    """Return the image as an engine makes it that flips the last bit of every sample."""
    message.data = array('B', bytes(sample ^ 1 for sample in message.data))
    return message


def test_the_size_may_change_with_every_image(stack, start_with):
    start_with(MARK, *PATIENT)
    stack.connect()
    for height, width in ((48, 64), (93, 141), (16, 16), (120, 160), (48, 64)) * 4:
        assert stack.send(image(height, width)) == marked(image(height, width))


ENCODINGS = ['', 'bgr8', 'BGR8', 'mono8', 'rgb16', 'bayer_rggb8', 'nv12', 'jpeg', 'é' * 300]


def malformed(rng: random.Random) -> Image:
    """Return an image some of whose fields are random."""
    message = image(12, 16)
    for field in rng.sample(['height', 'width', 'step', 'encoding', 'data', 'is_bigendian'], 3):
        if field == 'data':
            message.data = message.data[: rng.randrange(len(message.data))]
        elif field == 'encoding':
            message.encoding = rng.choice(ENCODINGS)
        elif field == 'is_bigendian':
            message.is_bigendian = rng.randrange(256)
        else:
            setattr(message, field, rng.choice([0, 1, rng.randrange(100), rng.randrange(2**32)]))
    return message


def test_two_thousand_malformed_messages_harm_no_image_between_them(stack, start_with):
    process = start_with(MARK, *PATIENT)
    stack.connect()
    rng, valid = random.Random(0), image()
    for number in range(2000):
        stack.camera.publish(malformed(rng))
        if number % 10 == 0:
            valid.header.stamp.sec = number
            stack.camera.publish(valid)
            stack.until(lambda: stack.received and stack.received[-1].header == valid.header)
            assert stack.received[-1].data == marked(image()).data
    counted = stack.counts_after(lambda counts: counts['dropped'] + counts['passed_through'] > 100)
    assert counted['derained'] > 200
    assert process.poll() is None
    assert 'Traceback' not in process.log.read_text()


STAMPS = {
    'zero': (0, 0),
    'past': (1, 5),
    'future': (2**31 - 1, 999_999_999),
    'negative': (-(2**31), 0),
    'no time at all': (7, 2**32 - 1),
}


def test_every_stamp_comes_back_as_it_went_in(stack, start_with):
    process = start_with(MARK, *PATIENT)
    stack.connect()
    for sec, nanosec in STAMPS.values():
        sent = image()
        sent.header.stamp.sec, sent.header.stamp.nanosec = sec, nanosec
        came = stack.send(sent)
        assert came.header == sent.header
        assert came.data == marked(image()).data
    counted = stack.counts_since_connected(len(STAMPS))
    assert counted == {'received': len(STAMPS), 'derained': len(STAMPS)}
    assert 'Traceback' not in process.log.read_text()


def test_a_camera_ten_times_too_fast_costs_images_and_nothing_else(stack, start_with):
    process = start_with(f'time.sleep(0.05); {MARK}', *PATIENT)
    stack.connect()
    sent = image()
    for number in range(400):
        sent.header.stamp.sec = number
        stack.camera.publish(sent)
        rclpy.spin_once(stack, timeout_sec=0.005)
    stack.until(lambda: stack.received[-1].header.stamp.sec == 399)
    stamps = [message.header.stamp.sec for message in stack.received]
    assert stamps == sorted(set(stamps)), 'in order, and none twice'
    counted = stack.counts_after(
        lambda counts: is_complete(counts) and counts['derained'] >= len(stamps)
    )
    assert counted['replaced'] > counted['derained']
    assert process.poll() is None


def test_a_node_that_is_killed_at_work_starts_again(stack, start_with, monkeypatch):
    # one that is killed leaves its segment behind: without the profile that is a small one
    monkeypatch.delenv(profile_variable())
    sleep = 'frames.shape[1] == 100 and (print("at work", flush=True), time.sleep(60))'
    process = start_with(f'{sleep}; {MARK}', *PATIENT)
    stack.connect()
    stack.camera.publish(image(100, 100))
    stack.until(lambda: 'at work' in process.log.read_text())
    process.kill()
    process.wait()
    start_with(MARK, *PATIENT)
    stack.connect()
    assert stack.send(image()) == marked(image())


UNCONFIGURED, INACTIVE, ACTIVE = (
    State.PRIMARY_STATE_UNCONFIGURED,
    State.PRIMARY_STATE_INACTIVE,
    State.PRIMARY_STATE_ACTIVE,
)
# where a transition may begin, and where it ends
TRANSITIONS = {
    Transition.TRANSITION_CONFIGURE: (UNCONFIGURED, INACTIVE),
    Transition.TRANSITION_ACTIVATE: (INACTIVE, ACTIVE),
    Transition.TRANSITION_DEACTIVATE: (ACTIVE, INACTIVE),
    Transition.TRANSITION_CLEANUP: (INACTIVE, UNCONFIGURED),
}


def private_mb(process: subprocess.Popen) -> float:
    rollup = Path(f'/proc/{process.pid}/smaps_rollup').read_text().splitlines()
    (anonymous,) = (line for line in rollup if line.startswith('Anonymous:'))
    return int(anonymous.split()[1]) / 1024


def test_transitions_in_every_order_fifty_times_leave_the_memory_flat(stack, start):
    process = start('-p', 'engine:=openvino', '-p', 'autostart:=false')
    # one client for all: each one that the node gets to know costs it memory
    client = stack.create_client(ChangeState, 'derain/change_state')
    stack.until(client.service_is_ready)
    state, memory_mb = UNCONFIGURED, []
    for order in islice(cycle(permutations(TRANSITIONS)), 50):
        for transition in order:
            begins, ends = TRANSITIONS[transition]
            future = client.call_async(ChangeState.Request(transition=Transition(id=transition)))
            stack.until(future.done)
            assert future.result().success == (state == begins), 'refused out of order only'
            state = ends if state == begins else state
        memory_mb.append(private_mb(process))
    assert max(memory_mb[25:]) < 1.1 * max(memory_mb[:25])
    assert 'Traceback' not in process.log.read_text()
