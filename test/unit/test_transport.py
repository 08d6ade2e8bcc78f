"""The variable by which each release of Fast DDS finds the shared-memory profile."""

import os
from pathlib import Path

import pytest

from derain_ros.node.transport import profile_variable, use_profile


@pytest.mark.parametrize(
    'distro, variable',
    [
        ('humble', 'FASTRTPS_DEFAULT_PROFILES_FILE'),
        ('jazzy', 'FASTRTPS_DEFAULT_PROFILES_FILE'),
        ('kilted', 'FASTDDS_DEFAULT_PROFILES_FILE'),
    ],
)
def test_each_release_is_told_by_the_variable_that_it_reads(
    monkeypatch: pytest.MonkeyPatch, distro: str, variable: str
) -> None:
    monkeypatch.setenv('ROS_DISTRO', distro)

    assert profile_variable() == variable


def test_a_profile_of_the_users_own_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(profile_variable(), 'mine.xml')

    use_profile(Path('ours.xml'))

    assert os.environ[profile_variable()] == 'mine.xml'


def test_the_profile_is_used_where_the_user_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(profile_variable(), '')  # so that it is as before in the end
    monkeypatch.delenv(profile_variable())

    use_profile(Path('ours.xml'))

    assert os.environ[profile_variable()] == 'ours.xml'
