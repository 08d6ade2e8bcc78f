"""
Start the de-raining node beside a camera.

    ros2 launch derain_ros derain.launch.py topic:=/camera/front/image_raw

Two cameras, from a launch file of your own, each include in a scope of its own::

    for side in ('left', 'right'):
        GroupAction([IncludeLaunchDescription(
            'derain.launch.py',
            launch_arguments={'topic': f'/{side}/image_raw', 'name': f'derain_{side}'}.items())])

Or one node for both, which share the engine: ``cameras:='[left, right]'``.
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import EnvironmentVariable, LaunchConfiguration
from launch_ros.actions import Node
import yaml

from derain_ros.node.transport import profile_variable
from launch import LaunchContext, LaunchDescription

CONFIG = Path(get_package_share_directory('derain_ros')) / 'config'
LEVELS = ['debug', 'info', 'warn', 'error', 'fatal']

ARGUMENTS = {
    'name': ('derain', 'Name of the node.'),
    'namespace': ('', 'Namespace of the node, and of topics that do not start with a slash.'),
    'topic': ('image_raw', 'Camera topic to subscribe to.'),
    'output': ('', 'Topic to publish to; empty: image_derained beside the camera topic.'),
    'cameras': ('', 'Several cameras for one node, such as [front, left]; in place of topic.'),
    'image_transport': ('', 'raw, or compressed: how the camera publishes; empty: see config.'),
    'config': ('', 'Parameter file, like the shipped config/derain.yaml; empty: none.'),
    'engine': ('', 'What runs the network: auto, tensorrt or openvino; empty: see config.'),
    'model': ('', 'Released model, or ONNX file; empty: see config.'),
    'deadline': ('', 'Seconds after which an image passes through unchanged; empty: see config.'),
    'autostart': ('', 'false leaves configure and activate to a lifecycle manager.'),
    'respawn': ('false', 'true starts the node again 2 s after it has died.'),
    'log_level': ('info', 'debug, info, warn, error or fatal.'),
}
# parameters of the node, which an empty argument leaves as the parameter file has them
PARAMETERS = ('cameras', 'image_transport', 'engine', 'model', 'deadline', 'autostart')
CHOICES = {
    'log_level': LEVELS,
    'respawn': ['true', 'false'],
    'autostart': ['', 'true', 'false'],
    'image_transport': ['', 'raw', 'compressed'],
}


def derain_node(context: LaunchContext) -> list[Node]:
    values = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    check(values, context)
    beside = values['topic'].rpartition('/')
    output = values['output'] or ''.join(beside[:2]) + 'image_derained'
    config = [str(Path(values['config']).expanduser())] if values['config'] else []
    variable = profile_variable()
    given = {name: yaml.safe_load(values[name]) for name in PARAMETERS if values[name]}
    if 'deadline' in given:
        given['deadline'] = float(given['deadline'])
    remappings = (
        [] if values['cameras'] else [('image_raw', values['topic']), ('image_derained', output)]
    )
    return [
        Node(
            package='derain_ros',
            executable='derain_node',
            name=values['name'],
            namespace=values['namespace'],
            parameters=[*config, given],
            # of this node alone; a profile that is already set is the user's own choice
            additional_env={
                variable: EnvironmentVariable(
                    variable, default_value=str(CONFIG / 'fastdds_shm.xml')
                ),
            },
            remappings=remappings,
            arguments=['--ros-args', '--log-level', values['log_level']],
            respawn=values['respawn'] == 'true',
            respawn_delay=2.0,
            output='both',
        )
    ]


def check(values: dict[str, str], context: LaunchContext) -> None:
    """Refuse what would come out as another node than was meant."""
    if values['config'] and not Path(values['config']).expanduser().is_file():
        # launch_ros would only warn, and the car drive on the defaults
        raise FileNotFoundError(
            f"config '{values['config']}': no such file; name a parameter file"
        )
    if not values['topic'].strip('/'):
        raise ValueError(f"topic '{values['topic']}': names no topic")
    node = f'{values["namespace"].rstrip("/")}/{values["name"]}'
    nodes = getattr(context.locals, 'derain_nodes', ())
    if node in nodes:
        raise ValueError(
            f'{node} is started twice: put each include into a GroupAction of its own, which '
            'keeps its arguments apart, and give it another name'
        )
    context.extend_globals({'derain_nodes': (*nodes, node)})


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(
                    name,
                    default_value=default,
                    description=description,
                    **({'choices': CHOICES[name]} if name in CHOICES else {}),
                )
                for name, (default, description) in ARGUMENTS.items()
            ),
            OpaqueFunction(function=derain_node),
        ]
    )
