"""What is decided for an image, and when an engine is too slow for its camera."""

from derain_ros.stream.gate import Gate
from derain_ros.stream.policy import Action, MISSES_IN_A_ROW, Policy


def test_an_image_in_time_is_derained():
    assert Policy(deadline_s=1.0).decide(received_at=10.0, now=10.5).action is Action.DERAIN


def test_an_image_that_waited_too_long_passes_through():
    action, reason = Policy(deadline_s=0.1).decide(received_at=10.0, now=10.1)
    assert action is Action.PASS_THROUGH
    assert 'longer than the deadline of 100 ms' in reason


def test_switched_off_every_image_is_bypassed():
    policy = Policy(deadline_s=1.0, gate=Gate('off'))
    assert policy.decide(10.0, 20.0).action is Action.BYPASS


def slow(policy: Policy, now: float) -> None:
    for _ in range(MISSES_IN_A_ROW):
        policy.note_miss(now)


def test_after_a_run_of_misses_images_pass_at_once_and_one_now_and_then_is_tried():
    policy = Policy(deadline_s=1.0)
    slow(policy, now=100.0)
    action, reason = policy.decide(101.0, 101.0)
    assert action is Action.PASS_THROUGH
    assert 'missed the deadline of 1000 ms 5 times in a row; it is tried again in 4 s' in reason
    assert policy.decide(105.0, 105.0).action is Action.DERAIN


def test_a_probe_that_misses_makes_the_pause_longer_up_to_a_minute():
    policy = Policy(deadline_s=1.0)
    slow(policy, now=100.0)
    pauses = []
    now = 105.0
    for _ in range(6):
        policy.note_miss(now)
        pause = 0
        while policy.decide(now + pause, now + pause).action is not Action.DERAIN:
            pause += 1
        pauses.append(pause)
        now += pause
    assert pauses == [10, 20, 40, 60, 60, 60]


def test_a_probe_in_time_ends_it():
    policy = Policy(deadline_s=1.0)
    slow(policy, now=100.0)
    policy.note_success()
    assert policy.decide(100.1, 100.1).action is Action.DERAIN


def test_another_deadline_is_tried_at_once():
    policy = Policy(deadline_s=1.0)
    slow(policy, now=100.0)
    policy.set_deadline(1.0)
    assert policy.decide(100.1, 100.1).action is Action.PASS_THROUGH, 'it is the same'
    policy.set_deadline(5.0)
    assert policy.decide(100.1, 100.1).action is Action.DERAIN


def test_a_miss_between_successes_is_no_run():
    policy = Policy(deadline_s=1.0)
    for _ in range(20):
        policy.note_miss(100.0)
        policy.note_success()
    assert policy.decide(100.1, 100.1).action is Action.DERAIN
