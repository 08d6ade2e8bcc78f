"""Of a damaged bag the readable part is used, and what is none is named."""

from pathlib import Path
import shutil
import subprocess
import sys
import warnings

from helpers.bags import KINDS, rechunked, record, shades
from helpers.data import ROOT
from helpers.disk import small_disk
from helpers.photos import SHADES
import pytest

from derain_ros.errors import DataError
from training.configuration import Bag
from training.data.bags import BagFrames


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    return tmp_path / 'cache' / 'derain_ros'


def damaged(kind: str, photos: Path, folder: Path) -> str:
    """Write a bag of that kind whose last third is missing."""
    name, storage = record(kind, photos, folder), folder / KINDS[kind][2]
    if kind == 'mcap':
        storage = rechunked(storage)
    storage.write_bytes(storage.read_bytes()[: storage.stat().st_size * 2 // 3])
    return name


@pytest.mark.parametrize('kind', KINDS)
def test_of_a_truncated_bag_the_readable_part_is_used(
    kind: str, photos: Path, tmp_path: Path
) -> None:
    name = damaged(kind, photos, tmp_path)

    with pytest.warns(UserWarning, match=rf'{name}: damaged .*going on with the \d+ images'):
        frames = BagFrames(Bag(path=name), tmp_path, 64)

    read = shades(frames)
    assert 8 <= len(read) < 24
    assert read == SHADES[: len(read)]
    with warnings.catch_warnings():
        warnings.simplefilter('error')  # the damage is reported once
        assert len(BagFrames(Bag(path=name), tmp_path, 64)) == len(read)


def test_a_damaged_row_of_a_truncated_database_is_left_out(photos: Path, tmp_path: Path) -> None:
    name, storage = damaged('sqlite3', photos, tmp_path), tmp_path / KINDS['sqlite3'][2]
    content = bytearray(storage.read_bytes())
    # a row begins with the types of its columns; 0 is NULL, which no column may be
    moment = content.rindex((3_000_000_000).to_bytes(6, 'big'))  # the index has it too
    content[moment - 5 : moment] = bytes(5)
    storage.write_bytes(content)

    with pytest.warns(UserWarning, match='rain: damaged'):
        read = shades(BagFrames(Bag(path=name), tmp_path, 64))

    assert read == [shade for shade in SHADES[: len(read) + 1] if shade != SHADES[6]]


def test_of_several_processes_one_reads_a_bag_through(photos: Path, tmp_path: Path) -> None:
    name = damaged('sqlite3', photos, tmp_path)
    code = f"""
import sys
from pathlib import Path
sys.path[:0] = [{str(ROOT)!r}]
from training.data.bags import BagFrames
from training.configuration import Bag
BagFrames(Bag(path={name!r}), Path({str(tmp_path)!r}), 64)
"""

    processes = [
        subprocess.Popen([sys.executable, '-c', code], stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]

    said = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], said
    assert ''.join(said).count(f'{name}: damaged') == 1  # said by who reads it through


def test_a_full_disk_leaves_no_half_index(photos: Path, tmp_path: Path, cache: Path) -> None:
    name = record('mcap', photos, tmp_path)

    with small_disk(), pytest.raises(DataError, match=r'cannot be kept there .*XDG_CACHE_HOME'):
        BagFrames(Bag(path=name), tmp_path, 64)

    assert [path.name for path in cache.rglob('*') if path.is_file()] == ['lock']


@pytest.mark.parametrize('kind', KINDS)
def test_parts_with_nothing_in_them_leave_the_others_usable(
    kind: str, photos: Path, tmp_path: Path
) -> None:
    whole = tmp_path / KINDS[kind][2]
    record(kind, photos, tmp_path)
    (tmp_path / 'drive').mkdir()
    shutil.copy(whole, tmp_path / 'drive' / f'rain_0{whole.suffix}')
    (tmp_path / 'drive' / f'rain_1{whole.suffix}').touch()

    with pytest.warns(UserWarning, match='drive: damaged'):
        assert shades(BagFrames(Bag(path='drive'), tmp_path, 64)) == SHADES


@pytest.mark.parametrize('kind', KINDS)
def test_damaged_parts_of_the_same_name_are_all_used(
    kind: str, photos: Path, tmp_path: Path
) -> None:
    damaged(kind, photos, tmp_path)
    storage, folders = tmp_path / KINDS[kind][2], [tmp_path / name for name in ('a', 'b')]
    for folder in folders:
        folder.mkdir()
        shutil.copy(storage, folder)
        storage.write_bytes(storage.read_bytes()[: storage.stat().st_size * 2 // 3])
    shutil.copytree(folders[0], tmp_path / 'drive' / 'a')
    shutil.copytree(folders[1], tmp_path / 'drive' / 'b')

    with pytest.warns(UserWarning, match='damaged'):
        long, short, both = (
            len(BagFrames(Bag(path=path), tmp_path, 64)) for path in ('a', 'b', 'drive')
        )

    assert 0 < short < long
    assert both == long + short


def test_a_recording_without_its_metadata_is_read(photos: Path, tmp_path: Path) -> None:
    name = record('mcap', photos, tmp_path)
    (tmp_path / name / 'metadata.yaml').unlink()

    assert len(BagFrames(Bag(path=name), tmp_path, 64)) == 24


@pytest.mark.parametrize('content', [b'not a JPEG', b''])
def test_broken_frame_is_passed_over_and_named(
    photos: Path, tmp_path: Path, content: bytes
) -> None:
    (photos / '005.jpg').write_bytes(content)
    frames = BagFrames(Bag(path=record('sqlite3', photos, tmp_path)), tmp_path, 64)

    with pytest.warns(UserWarning, match=r'/front/compressed at 2500000000 ns cannot be decoded'):
        assert round(float(frames[5].mean()), -1) == SHADES[6]


@pytest.mark.parametrize('content', ['it rained', ''])
@pytest.mark.parametrize('suffix', ['bag', 'db3', 'mcap'])
def test_what_is_no_bag_is_named(suffix: str, content: str, tmp_path: Path) -> None:
    (tmp_path / f'notes.{suffix}').write_text(content)

    with pytest.raises(DataError, match=rf'notes\.{suffix}: not a readable bag'):
        BagFrames(Bag(path=f'notes.{suffix}'), tmp_path, 64)
    with pytest.raises(DataError, match=r'nowhere: no such bag'):
        BagFrames(Bag(path='nowhere'), tmp_path, 64)
