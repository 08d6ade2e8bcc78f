"""The launch file that plays a bag through the node, as ``ros2 launch`` runs it."""

from importlib.util import find_spec
import subprocess

from helpers.demo import write_bag
import pytest

pytest.importorskip('launch_ros', reason='launch_ros is not installed: it has no wheel')

PATIENCE_S = 120


@pytest.fixture
def launch(environment, tmp_path):
    """Return what a launch of the file says, and its status, once it has ended."""

    def launch(*arguments: str) -> tuple[str, int]:
        ended = subprocess.run(
            ['ros2', 'launch', 'derain_ros', 'bag.launch.py', *arguments],
            env=environment,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE_S,
        )
        return ended.stdout, ended.returncode

    return launch


@pytest.mark.skipif(find_spec('ros2bag') is None, reason='ros2bag is not installed: no wheel')
def test_a_bag_is_played_through_the_node_and_its_end_is_the_end(launch, street, tmp_path):
    write_bag(tmp_path / 'drive', street)

    said, status = launch('bag:=drive', 'topic:=/front/image_raw', 'rate:=0.5')

    assert 'de-raining /front/image_raw into /front/image_derained' in said
    assert status == 0, said


@pytest.mark.parametrize(
    'arguments, reason',
    [
        ([], 'bag'),
        (['bag:=nowhere'], "bag 'nowhere': no such file or folder"),
        (['bag:=.', 'topic:=/'], "topic '/': names no topic"),
        (['bag:=.', 'rate:=fast'], "rate 'fast' is no number above 0"),
    ],
)
def test_an_argument_that_cannot_be_is_named(launch, arguments, reason):
    said, status = launch(*arguments)

    assert status != 0
    assert reason in said
