"""What becomes of TensorRT where it is late or fails, and of the time that is left then."""

from helpers.car import Painter
import pytest

from derain_ros.engine.failover import MOST_MISSES, SLOW_BUILD_S
from derain_ros.errors import DeadlineError, EngineError


def test_a_missed_deadline_is_passed_on_and_many_in_a_row_end_tensorrt(car):
    tensorrt = car.change_over()
    car.miss_deadlines(tensorrt)
    assert car.drive() == 1
    assert 'no result in time' in car.engine.problem


def test_one_that_was_too_slow_is_given_up_at_once_when_it_is_so_again(car):
    tensorrt = car.change_over()
    car.miss_deadlines(tensorrt)
    again = Painter('tensorrt', 2)
    again.error = DeadlineError('the GPU gave no result in time')
    car.builds.put(again)
    car.now += 11

    with pytest.raises(DeadlineError):
        car.drive_until(2)

    assert 'TensorRT again in 20 s' in car.engine.problem
    assert car.drive() == 1


def test_one_late_frame_is_forgiven_where_only_the_build_had_failed(car):
    car.builds.put(EngineError('out of memory'))
    car.drive_until_problem('out of memory')
    tensorrt = Painter('tensorrt', 2)
    tensorrt.error = DeadlineError('the GPU gave no result in time')
    car.builds.put(tensorrt)
    car.now += 11

    with pytest.raises(DeadlineError):
        car.drive_until(2)

    tensorrt.error = None
    assert car.drive() == 2


class Hung(Painter):
    """An engine on a GPU that hangs: closing it does not return until the test lets it."""

    def close(self) -> None:
        self.closed.wait()


@pytest.fixture
def hung(car):
    engine = Hung('tensorrt', 2)
    car.builds.put(engine)
    car.drive_until(2)
    car.miss_deadlines(engine)
    yield engine
    engine.closed.set()


def test_a_gpu_that_hangs_for_ever_holds_up_no_frame(car, hung):
    assert [car.drive() for _ in range(3)] == [1, 1, 1]


def test_an_engine_that_cannot_be_closed_does_not_stop_the_building_of_others(car, hung):
    car.builds.put(Painter('tensorrt', 3))
    car.drive_until(3, (64, 48))  # of another camera
    assert 'TensorRT again in 10 s' in car.engine.problem
    car.builds.put(Painter('tensorrt', 4))
    car.now += 11
    car.drive_until(4)  # as the problem promised
    assert car.engine.problem == ''


def test_closing_does_not_wait_for_a_gpu_that_hangs(car, hung):
    car.engine.close()
    assert car.cpu.closed.is_set()


def test_a_build_that_does_not_end_is_a_problem_in_the_end(car):
    car.drive()
    car.now += SLOW_BUILD_S
    car.drive()
    assert car.engine.problem == ''
    car.now += 1
    car.drive()
    assert car.engine.problem == 'on openvino: a TensorRT engine has been under way for 901 s'


def test_a_late_frame_now_and_then_changes_nothing(car):
    tensorrt = car.change_over()
    for _ in range(2 * MOST_MISSES):
        tensorrt.error = DeadlineError('late')
        with pytest.raises(DeadlineError):
            car.drive()
        tensorrt.error = None
        assert car.drive() == 2


def test_a_success_is_a_new_beginning(car):
    tensorrt, again = Painter('tensorrt', 2), Painter('tensorrt', 2)
    car.builds.put(tensorrt)
    car.drive_until(2)
    car.miss_deadlines(tensorrt)
    car.builds.put(again)
    car.now += 11
    car.drive_until(2)
    again.error = DeadlineError('late')
    with pytest.raises(DeadlineError):
        car.drive()
    again.error = None
    assert car.drive() == 2
    again.error = EngineError('out of memory')
    car.drive()
    assert 'TensorRT again in 10 s' in car.engine.problem


def test_the_cpu_is_given_what_tensorrt_left_of_the_deadline(car):
    timeouts = []

    class Slow(Painter):
        def infer(self, frames, out, order, timeout=None):
            timeouts.append(timeout)
            car.now += 0.4
            super().infer(frames, out, order)

    tensorrt, car.cpu.infer = Slow('tensorrt', 2), Slow('openvino', 1).infer
    car.builds.put(tensorrt)
    car.drive_until(2)
    tensorrt.error = EngineError('out of memory')
    assert car.drive() == 1
    assert timeouts[-2:] == pytest.approx([1.0, 0.6])
