"""What becomes of TensorRT where it is late or fails, and of the time that is left then."""

from helpers.car import Painter
import pytest
import test_auto_engine as whole

from derain_ros.engine.failover import MISSES
from derain_ros.errors import DeadlineError, EngineError

car = whole.car


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


def test_a_gpu_that_hangs_for_ever_holds_up_nobody(car):
    class Hung(Painter):
        def close(self) -> None:
            self.closed.wait()

    tensorrt = Hung('tensorrt', 2)
    car.builds.put(tensorrt)
    car.drive_until(2)
    car.miss_deadlines(tensorrt)
    assert [car.drive() for _ in range(3)] == [1, 1, 1]
    tensorrt.closed.set()


def test_a_late_frame_now_and_then_changes_nothing(car):
    tensorrt = car.change_over()
    for _ in range(2 * MISSES):
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
