"""Four cameras in one node, one of which makes the engine fail; and consumers that come and go."""

from array import array
from collections.abc import Callable
import subprocess

from diagnostic_msgs.msg import DiagnosticStatus
from helpers.stack import image, Stack
import pytest
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage, Image

NAMES = ('front', 'left', 'right', 'rear')
SIZES = {'front': (48, 64), 'left': (48, 64), 'right': (40, 32), 'rear': (100, 100)}
MARK = 'out[:] = frames ^ 1'


def marked(message: Image) -> array:
    """Return the samples as an engine makes them that flips the last bit of each."""
    return array('B', bytes(sample ^ 1 for sample in message.data))


class Cameras:
    """The publishers of four cameras, and what came back of each."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.sent = {name: image(*size) for name, size in SIZES.items()}
        self.came: dict[str, list[Image]] = {name: [] for name in NAMES}
        self._publishers = {}
        for name, images in self.came.items():
            self._publishers[name] = stack.create_publisher(
                Image, f'{name}/image_raw', qos_profile_sensor_data
            )
            stack.create_subscription(Image, f'{name}/image_derained', images.append, 10)

    def drive_until(self, condition: Callable[[], object]) -> None:
        """Publish twenty images a second of every camera until the condition is met."""

        def met() -> object:
            for name, publisher in self._publishers.items():
                publisher.publish(self.sent[name])
            self._stack.spin_for(0.05)
            return condition()

        self._stack.until(met)

    def derain(self, name: str) -> bool:
        """Return whether the latest image of a camera came back de-rained."""
        return bool(self.came[name]) and self.came[name][-1].data == marked(self.sent[name])


@pytest.fixture
def cameras(stack: Stack) -> Cameras:
    return Cameras(stack)


def start_four(
    start_with: Callable[..., subprocess.Popen], at_the_rear: str, *arguments: str
) -> subprocess.Popen:
    """Start the node with an engine that does something else with the images of one camera."""
    what = f'if frames.shape[1] == 100: {at_the_rear}\n        {MARK}'
    return start_with(what, '-p', f'cameras:=[{", ".join(NAMES)}]', *arguments)


def said(stack: Stack, name: str) -> DiagnosticStatus | None:
    """Return the latest report of a camera."""
    reports = (one for one in reversed(stack.statuses) if one.name.endswith(f': {name}'))
    return next(reports, None)


def all_but_the_rear_are_well(stack: Stack, cameras: Cameras) -> bool:
    return all(
        cameras.derain(name)
        and (report := said(stack, name)) is not None
        and report.level == DiagnosticStatus.OK
        for name in NAMES[:3]
    )


FAULTS = {
    'raises': ('raise RuntimeError("out of order")', 'out of order'),
    'late': ('time.sleep(0.8)', 'the engine missed the deadline of 500 ms'),
}


@pytest.mark.parametrize('fault', FAULTS)
def test_an_engine_that_fails_for_one_camera_serves_the_others(stack, start_with, cameras, fault):
    what, words = FAULTS[fault]
    process = start_four(start_with, what, '-p', 'deadline:=0.5')

    def rear_is_named() -> bool:
        report = said(stack, 'rear')
        return (
            report is not None
            and report.level == DiagnosticStatus.ERROR
            and words in report.message
        )

    cameras.drive_until(rear_is_named)
    cameras.drive_until(lambda: all_but_the_rear_are_well(stack, cameras))
    assert cameras.came['rear'][-1] == cameras.sent['rear'], 'passed through unchanged'
    assert process.poll() is None


def test_while_an_engine_hangs_on_one_camera_images_of_the_others_pass(stack, start_with, cameras):
    process = start_four(
        start_with,
        'vars(self).setdefault("hung", []) or (self.hung.append(1), time.sleep(4))',
        *('-p', 'deadline:=0.3'),
    )
    cameras.drive_until(lambda: all(cameras.sent[name] in cameras.came[name] for name in NAMES))
    cameras.drive_until(lambda: all_but_the_rear_are_well(stack, cameras))
    cameras.drive_until(lambda: cameras.derain('rear'))
    assert process.poll() is None


def test_consumers_that_come_and_go_every_100_ms(stack, start_with):
    process = start_with(MARK)
    stack.connect()
    (consumer,) = [one for one in stack.subscriptions if one.topic_name.endswith('image_derained')]
    stack.destroy_subscription(consumer)
    kinds = ((Image, 'image_derained'), (CompressedImage, 'image_derained/compressed'))
    for index in range(40):
        kind, topic = kinds[index % 2]
        subscription = stack.create_subscription(kind, topic, lambda _: None, 10)
        for _ in range(4):
            stack.camera.publish(image())
            stack.spin_for(0.025)
        stack.destroy_subscription(subscription)
    came: list[Image] = []
    stack.create_subscription(Image, 'image_derained', came.append, 10)

    def arrived() -> bool:
        stack.camera.publish(image())
        return bool(came)

    stack.until(arrived)
    assert came[-1].data == marked(image())
    assert process.poll() is None
    assert 'Traceback' not in process.log.read_text()
