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
    """Name the environment variable that Fast DDS reads; later releases warn of Humble's."""
    return ('FASTRTPS_DEFAULT_PROFILES_FILE' if os.environ.get('ROS_DISTRO') == 'humble'
            else 'FASTDDS_DEFAULT_PROFILES_FILE')
