"""
Start the de-raining node beside a camera.

    ros2 launch derain_ros derain.launch.py topic:=/camera/front/image_raw
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import EnvironmentVariable, LaunchConfiguration
from launch_ros.actions import Node

from derain_ros.node.transport import profile_variable
from launch import LaunchContext, LaunchDescription

CONFIG = Path(get_package_share_directory('derain_ros')) / 'config'

ARGUMENTS = {
    'namespace': ('', 'Namespace of the node, and of topics that do not start with a slash.'),
    'topic': ('image_raw', 'Camera topic to subscribe to.'),
    'output': ('', 'Topic to publish to; empty: image_derained beside the camera topic.'),
    'config': (str(CONFIG / 'derain.yaml'), 'Parameter file.'),
    'engine': ('', 'What runs the network: auto, tensorrt or openvino; empty: as the file says.'),
    'model': ('', 'Released model, or ONNX file; empty: as the file says.'),
    'log_level': ('info', 'debug, info, warn, error or fatal.'),
}


def derain_node(context: LaunchContext) -> list[Node]:
    values = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    beside = values['topic'].rpartition('/')
    output = values['output'] or ''.join(beside[:2]) + 'image_derained'
    config = Path(values['config']).expanduser()
    if not config.is_file():  # launch_ros would only warn, and the car drive on the defaults
        raise FileNotFoundError(f"config '{config}': no such file; name a parameter file")
    variable = profile_variable()
    given = {name: values[name] for name in ('engine', 'model') if values[name]}
    return [
        Node(
            package='derain_ros',
            executable='derain_node',
            name='derain',
            namespace=values['namespace'],
            parameters=[str(config), given],
            # of this node alone; a profile that is already set is the user's own choice
            additional_env={
                variable: EnvironmentVariable(
                    variable, default_value=str(CONFIG / 'fastdds_shm.xml')
                )
            },
            remappings=[('image_raw', values['topic']), ('image_derained', output)],
            arguments=['--ros-args', '--log-level', values['log_level']],
            output='both',
        )
    ]


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, (default, description) in ARGUMENTS.items()
            ),
            OpaqueFunction(function=derain_node),
        ]
    )
