"""Photographs and videos into bags, as the tool does it."""

from pathlib import Path
import subprocess
import sys

from helpers.data import ROOT
import pytest

from derain_ros.errors import DataError
from training.write_bag import write_bag

TOOL = ROOT / 'training' / 'write_bag.py'


def write(*arguments: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, TOOL, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd='/',
    )


@pytest.mark.parametrize('name', ['out', 'out.bag'])
def test_what_cannot_be_written_leaves_no_bag(photos: Path, tmp_path: Path, name: str) -> None:
    options = {'topic': '/front/compressed', 'rate': 10.0, 'storage': 'mcap'}
    for _ in range(2):
        with pytest.raises(DataError, match='nowhere: no such folder'):
            write_bag(tmp_path / 'nowhere', tmp_path / name, **options)
    with pytest.raises(DataError, match='--rate 0: must be above 0'):
        write_bag(photos, tmp_path / name, **options | {'rate': 0.0})
    (photos / '999.png').write_bytes(b'no image')
    with pytest.raises(DataError, match=r'999\.png: not a readable image'):
        write_bag(photos, tmp_path / name, **options)

    assert list(tmp_path.iterdir()) == [photos]


def test_a_disk_that_refuses_is_named(photos: Path, tmp_path: Path) -> None:
    (tmp_path / 'file').write_text('no folder')

    done = write(photos, tmp_path / 'file' / 'out')

    assert done.returncode == 2
    assert done.stderr.startswith('error: [Errno 20] Not a directory')


def test_the_tool_writes_a_bag_from_the_command_line(photos: Path, tmp_path: Path) -> None:
    first, second = (write('--rate', '30', photos, tmp_path / 'out') for _ in range(2))

    assert (first.returncode, second.returncode) == (0, 2)
    assert '24 images on /camera/image_raw/compressed' in first.stdout
    assert 'exists already; remove it' in second.stderr
