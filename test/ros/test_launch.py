"""The launch file, as ``ros2 launch`` runs it."""

from pathlib import Path
import subprocess

import pytest

pytest.importorskip('launch_ros', reason='launch_ros is not installed: it has no wheel')

PATIENCE = 60


@pytest.mark.parametrize(
    'arguments, topics',
    [
        ([], '/image_raw into /image_derained'),
        (['namespace:=front'], '/front/image_raw into /front/image_derained'),
        (['topic:=/camera/image_raw'], '/camera/image_raw into /camera/image_derained'),
        (['image_transport:=compressed'], '/image_raw/compressed into /image_derained'),
        (
            [
                'topic:=a/image',
                'output:=b/clear',
                'engine:=openvino',
                'model:=fast',
                'log_level:=debug',
            ],
            '/a/image into /b/clear',
        ),
    ],
)
def test_ros2_launch_brings_the_node_to_active(run, arguments, topics):
    run(
        ['ros2', 'launch', 'derain_ros', 'derain.launch.py', *arguments],
        f'de-raining {topics} with openvino',
    )


def refused(environment: dict[str, str], folder: Path, *arguments: str) -> str:
    """Return what a launch says that is refused."""
    ended = subprocess.run(
        ['ros2', 'launch', *arguments],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert ended.returncode != 0
    return ended.stdout + ended.stderr


@pytest.mark.parametrize(
    'argument, reason',
    [
        ('config:=nowhere.yaml', "config 'nowhere.yaml': no such file"),
        ('topic:=/', "topic '/': names no topic"),
        ('log_level:=bogus', 'bogus'),
        ('respawn:=perhaps', 'perhaps'),
        ('image_transport:=theora', 'theora'),
    ],
)
def test_an_argument_that_cannot_be_is_named(environment, tmp_path, argument, reason):
    assert reason in refused(environment, tmp_path, 'derain_ros', 'derain.launch.py', argument)


STACK = """
from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import GroupAction, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import SetParameter

FILE = get_package_share_directory('derain_ros') + '/launch/derain.launch.py'


def camera(**arguments):
    return IncludeLaunchDescription(
        PythonLaunchDescriptionSource(FILE), launch_arguments=arguments.items())


def generate_launch_description():
    return LaunchDescription({actions})
"""


@pytest.fixture
def stack_file(tmp_path):
    """Return a launch file of these actions."""

    def write(actions: str) -> str:
        path = tmp_path / 'stack.launch.py'
        path.write_text(STACK.format(actions=actions))
        return str(path)

    return write


def test_two_cameras_each_in_a_scope_of_its_own(run, stack_file):
    stack = stack_file(
        "[GroupAction([camera(topic='/left/image_raw', name='derain_left')]),"
        " GroupAction([camera(topic='/right/image_raw', name='derain_right', deadline='0.5')])]"
    )
    said = run(['ros2', 'launch', stack], 'de-raining /right/image_raw|de-raining /left/image_raw')
    assert 'derain_left' in said or 'derain_right' in said


def test_two_nodes_of_one_name_are_refused(environment, tmp_path, stack_file):
    stack = stack_file("[camera(topic='/left/image_raw'), camera(topic='/right/image_raw')]")
    assert '/derain is started twice' in refused(environment, tmp_path, stack)


def test_a_parameter_of_the_group_holds(run, stack_file):
    stack = stack_file(
        "[GroupAction([SetParameter('model', 'fast-light'), SetParameter('autostart', True),"
        " camera(engine='openvino', cameras='[front, left]')])]"
    )
    run(['ros2', 'launch', stack], 'de-raining /left/image_raw into /left/image_derained')


def test_a_lifecycle_manager_may_be_in_charge(run):
    said = run(
        ['ros2', 'launch', 'derain_ros', 'derain.launch.py', 'autostart:=false', 'name:=other'],
        'process started',
    )
    assert 'de-raining' not in said
