"""What the page on safety says of times and bounds, against the code."""

from helpers.data import ROOT
import pytest

from derain_ros.engine import failover, self_test
from derain_ros.stream import gate, health, inspection, policy, scheduler

PAGE = ' '.join((ROOT / 'docs' / 'safety.md').read_text().split())
WORDS = {3: 'three', 4: 'four', 5: 'five', 6: 'six'}
SILENT_S = health.SILENT_REPORTS * health.REPORT_PERIOD_S


@pytest.mark.parametrize(
    'words',
    [
        f'the image passes, at most {scheduler.GRACE_S} s after its deadline',
        f'{WORDS[policy.MISSES_IN_A_ROW]} deadlines missed in a row',
        f'tried after {policy.FIRST_PAUSE_S:.0f} s, {2 * policy.FIRST_PAUSE_S:.0f} s, up to every '
        f'{policy.LONGEST_PAUSE_S / 60:.0f} minute',
        f'tried again after {failover.FIRST_PAUSE_S:.0f} s, up to '
        f'{failover.LONGEST_PAUSE_S / 60:.0f} minutes',
        f'ERROR from {WORDS[health.FAILING_IMAGES]} on',
        f'WARN above {health.LOST_SHARE * 100:.0f} %',
        f'no image for {SILENT_S:.0f} s',
        f'{inspection.SAMPLES_PER_SIDE}x{inspection.SAMPLES_PER_SIDE} samples of each result',
        f'{self_test.RAINY_MEAN_LEVELS:.0f} grey level on average and {self_test.RAINY_LEVELS} at '
        'most',
        f'passes dry images bit for bit, after {gate.DRY_FOR_S:.0f} s',
    ],
)
def test_times_and_bounds_are_those_of_the_code(words: str) -> None:
    assert words.replace('every 1 minute', 'every minute') in PAGE
