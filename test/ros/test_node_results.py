"""Results that are not published, and engines that are too slow."""

from diagnostic_msgs.msg import DiagnosticStatus
from helpers.stack import image, values
import pytest
from sensor_msgs.msg import Image


def moving(number: int) -> Image:
    """Return an image that is no copy of the one before."""
    message = image()
    message.data[:] = message.data[number % 97 :] + message.data[: number % 97]
    return message


@pytest.mark.parametrize(
    'what, reason',
    [
        ('out[:] = 0', 'turned black'),
        ('out[:] = 255', 'turned white'),
        ('pass', 'not plausible'),
        ('out[:] = 128', 'contrast'),
    ],
)
def test_a_result_that_is_no_image_is_not_published(stack, start_with, what, reason):
    start_with(what)

    def reported() -> bool:
        stack.camera.publish(image())
        return any(
            status.level == DiagnosticStatus.ERROR and reason in status.message
            for status in stack.statuses
        )

    stack.until(reported)
    assert stack.received == [image()] * len(stack.received)


def test_an_output_that_stays_while_the_input_changes_is_not_published(stack, start_with):
    start_with('self.first = getattr(self, "first", frames.copy()); out[:] = self.first')
    sent = []

    def reported() -> bool:
        sent.append(moving(len(sent)))
        stack.camera.publish(sent[-1])
        return any('the same as the one before' in warning for warning in stack.warnings())

    stack.until(reported)


def test_most_images_lost_is_not_ok(stack, start_with):
    start_with('time.sleep(0.2); out[:] = frames')

    def warned() -> bool:
        stack.camera.publish(image())
        return any('were replaced by newer ones' in warning for warning in stack.warnings())

    stack.until(warned)


def test_a_machine_that_is_too_slow_passes_images_at_once(stack, start_with):
    start_with('time.sleep(0.3); out[:] = frames', '-p', 'deadline:=0.1')

    def reported() -> bool:
        stack.camera.publish(image())
        return any('it is tried again in' in warning for warning in stack.warnings())

    stack.until(reported)
    before = values(stack.statuses[-1])
    stack.until(lambda: (stack.camera.publish(image()), values(stack.statuses[-1]) != before)[1])
    assert stack.statuses[-1].level == DiagnosticStatus.ERROR
