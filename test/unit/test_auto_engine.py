"""How TensorRT and the CPU take turns, with stand-ins for both so that no GPU is needed."""

import gc
import re
import time
import weakref

from helpers.car import Painter
import pytest

from derain_ros.engine.failover import MOST_ENGINES
from derain_ros.engine.tensorrt.graph import Size
from derain_ros.errors import EngineError


def test_the_cpu_runs_until_the_engine_is_there_and_then_tensorrt(car):
    assert [car.drive() for _ in range(3)] == [1, 1, 1]
    assert car.engine.name == 'openvino'
    assert car.engine.problem == ''
    car.change_over()
    assert car.engine.name == 'tensorrt'
    assert car.asked == [(Size(1, 48, 64), 'bgr')]
    assert car.log.lines == [('info', '1 x 64x48 bgr now on tensorrt (u8)')]


def test_each_size_and_order_has_its_own_engine(car):
    cameras = [((48, 64), 'bgr'), ((64, 48), 'bgr'), ((64, 48), 'rgb')]
    for grey, camera in enumerate(cameras, start=2):
        assert car.drive(*camera) == 1
        car.builds.put(Painter('tensorrt', grey))
        car.drive_until(grey, *camera)
    assert [car.drive(*camera) for camera in cameras] == [2, 3, 4]
    assert car.asked == [(Size(1, *shape), order) for shape, order in cameras]


def test_a_failed_inference_is_run_again_on_the_cpu(car):
    tensorrt = car.change_over()
    tensorrt.error = EngineError('CUDA: an illegal memory access was encountered')
    assert car.drive() == 1
    assert car.engine.name == 'openvino'
    assert 'illegal memory access' in car.engine.problem
    assert car.log.lines[-1] == ('warning', car.engine.problem)
    assert tensorrt.closed.wait(timeout=10)


def test_nothing_holds_an_engine_that_was_given_up(car):
    tensorrt = car.change_over()
    tensorrt.error = EngineError('out of memory')
    car.drive()
    closed, alive = tensorrt.closed, weakref.ref(tensorrt)
    del tensorrt

    assert closed.wait(timeout=10)

    end = time.monotonic() + 10
    while alive() is not None and time.monotonic() < end:
        gc.collect()  # of the stand-in, which keeps the error that holds it
    assert alive() is None


def test_tensorrt_is_tried_again_after_longer_and_longer_pauses(car):
    pauses = []
    for failure in range(8):
        car.builds.put(EngineError(f'failure {failure}'))
        car.drive_until_problem(f'failure {failure}')
        pauses.append(int(re.search(r'again in (\d+) s', car.engine.problem)[1]))
        car.now += pauses[-1] - 0.1
        car.drive()
        time.sleep(0.01)  # in which a background thread that was asked too early would show
        assert len(car.asked) == failure + 1
        car.now += 0.1
    assert pauses == [10, 20, 40, 80, 160, 320, 600, 600]


def test_a_recovery_clears_the_problem(car):
    car.builds.put(EngineError('the GPU fell off the bus'))
    car.drive_until_problem('fell off the bus')
    car.builds.put(Painter('tensorrt', 2))
    car.now += 11
    car.drive_until(2)
    assert car.engine.problem == ''


def test_one_camera_on_tensorrt_does_not_hide_the_problem_of_another(car):
    car.builds.put(EngineError('too little memory'))
    car.drive_until_problem('too little memory')
    car.builds.put(Painter('tensorrt', 2))
    car.drive_until(2, (64, 48))
    assert 'too little memory' in car.engine.problem


def test_the_problem_of_a_size_that_no_camera_sends_any_more_is_forgotten(car):
    car.builds.put(EngineError('too little memory'))
    car.drive_until_problem('too little memory')
    car.now += 59
    assert 'too little memory' in car.engine.problem
    car.now += 2
    assert car.engine.problem == ''


@pytest.mark.parametrize('others', [MOST_ENGINES - 1, MOST_ENGINES])
def test_the_engine_used_least_lately_makes_room(car, others):
    first = car.change_over()
    for number in range(others):
        car.builds.put(Painter('tensorrt', 3))
        car.drive((48, 80 + number))
    if others < MOST_ENGINES:
        assert car.drive() == 2
    else:
        assert first.closed.wait(10)


def test_an_engine_that_no_camera_has_used_for_ten_minutes_is_freed(car):
    tensorrt = car.change_over()
    car.now += 599
    car.drive((48, 80))
    assert car.drive() == 2
    car.now += 601
    car.drive((48, 80))
    assert tensorrt.closed.wait(10)


def test_an_engine_in_use_outlives_newer_ones(car):
    car.change_over()
    for number in range(MOST_ENGINES + 1):
        car.builds.put(Painter('tensorrt', 3))
        car.drive((48, 80 + number))
        assert car.drive() == 2


def test_closing_frees_every_engine_and_ends_the_build_under_way(car):
    tensorrt = car.change_over()
    car.drive((64, 48))  # whose build does not end by itself
    with car.engine:
        pass
    assert car.cpu.closed.is_set()
    assert tensorrt.closed.wait(10)
    with pytest.raises(EngineError, match='the engine is closed'):
        car.drive()
    car.engine.close()  # again does nothing


def test_an_engine_that_is_loaded_after_the_end_is_closed_too(car, monkeypatch):
    monkeypatch.setattr(car, 'close', lambda: None)  # a build that cannot be ended
    car.drive()
    late = Painter('tensorrt', 2)
    car.engine.close()
    car.builds.put(late)
    assert late.closed.wait(10)


def test_an_engine_for_a_size_that_made_room_is_closed(car):
    car.drive()
    for number in range(MOST_ENGINES):
        car.drive((48, 80 + number))
    unwanted = Painter('tensorrt', 2)
    car.builds.put(unwanted)
    end = time.monotonic() + 10
    while not unwanted.closed.is_set():
        car.drive((48, 80))
        assert time.monotonic() < end


def test_if_the_cpu_fails_too_the_caller_knows(car):
    car.cpu.error = EngineError('out of memory')
    with pytest.raises(EngineError, match='out of memory'):
        car.drive()


def test_a_crash_of_the_build_is_a_problem_not_a_crash_of_the_node(car):
    car.builds.put(OSError('no such file: nice'))
    car.drive_until_problem('no such file')


def test_frames_of_a_wrong_shape_start_no_build(car):
    with pytest.raises(EngineError, match='smallest'):
        car.drive((8, 8))
    car.change_over()
    assert car.asked == [(Size(1, 48, 64), 'bgr')]  # engines are obtained in the order asked for
