"""
Play a bag through the de-raining node, and stop at its end.

    ros2 launch derain_ros bag.launch.py bag:=drive topic:=/camera/front/image_raw rate:=0.5

Every argument of derain.launch.py is one of this launch file too.
"""

import math
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    GroupAction,
    IncludeLaunchDescription,
    OpaqueFunction,
    Shutdown,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import EnvironmentVariable, LaunchConfiguration
from launch_ros.actions import SetParameter

from derain_ros.node.transport import profile_variable
from launch import LaunchContext, LaunchDescription

SHARE = Path(get_package_share_directory('derain_ros'))

ARGUMENTS = {
    'bag': (None, 'Bag to play.'),
    'rate': ('1.0', 'How many times as fast as it was recorded.'),
    'delay': ('5.0', 'Seconds that the node is given to start.'),
}


def is_positive(text: str) -> bool:
    try:
        return 0 < float(text) < math.inf
    except ValueError:
        return False


def player(context: LaunchContext) -> list[ExecuteProcess]:
    """Return the player; its clock is the node's, so that the age of images is as in the car."""
    bag, rate, delay = (LaunchConfiguration(name).perform(context) for name in ARGUMENTS)
    path = Path(bag).expanduser()
    if not path.exists():
        raise FileNotFoundError(f"bag '{bag}': no such file or folder; name a recorded bag")
    for name, value in (('rate', rate), ('delay', delay)):
        if not is_positive(value):
            raise ValueError(f"{name} '{value}' is no number above 0, such as 0.5")
    variable = profile_variable()
    profile = str(SHARE / 'config' / 'fastdds_shm.xml')
    return [
        ExecuteProcess(
            cmd=['ros2', 'bag', 'play', str(path), '--clock', '--rate', rate, '--delay', delay],
            additional_env={variable: EnvironmentVariable(variable, default_value=profile)},
            output='screen',
            on_exit=Shutdown(reason='the bag is over'),
        )
    ]


def generate_launch_description() -> LaunchDescription:
    node = PythonLaunchDescriptionSource(str(SHARE / 'launch' / 'derain.launch.py'))
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, (default, description) in ARGUMENTS.items()
            ),
            GroupAction([SetParameter('use_sim_time', True), IncludeLaunchDescription(node)]),
            OpaqueFunction(function=player),
        ]
    )
