"""The shared-memory profile of Fast DDS: without it most images get lost between processes."""

import os
from pathlib import Path


def use_profile(profile: Path) -> None:
    """
    Let Fast DDS, in this process and its children, read a profile.

    Call it before ``rclpy.init``. A profile that is already set is the user's choice, and stays.
    """
    os.environ.setdefault(profile_variable(), str(profile))


def profile_variable() -> str:
    """Name the variable that Fast DDS reads: version 3, of Kilted and later, warns of the old."""
    return (
        'FASTRTPS_DEFAULT_PROFILES_FILE'
        if os.environ.get('ROS_DISTRO') in ('humble', 'jazzy')
        else 'FASTDDS_DEFAULT_PROFILES_FILE'
    )
