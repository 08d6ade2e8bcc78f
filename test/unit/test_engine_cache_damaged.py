"""The engine cache where files or its directory are damaged, and where others could write."""

from collections.abc import Callable
from pathlib import Path
import resource

from helpers.engines import build_command, only, SMALL
import pytest

from derain_ros.engine.tensorrt.build import build_engine
from derain_ros.engine.tensorrt.cache import EngineCache
from derain_ros.engine.tensorrt.entry import CacheError
from derain_ros.errors import DataError


def edited(old: str, new: str) -> Callable[[Path], object]:
    """Return what replaces some text in the JSON file beside an engine."""

    def edit(path: Path) -> None:
        sidecar = path.with_suffix('.json')
        assert old in sidecar.read_text()
        sidecar.write_text(sidecar.read_text().replace(old, new))

    return edit


@pytest.mark.parametrize(
    'damage, reason',
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), 'damaged'),
        (lambda path: path.write_bytes(b''), 'damaged'),
        (lambda path: path.with_suffix('.json').unlink(), 'json is missing'),
        (lambda path: path.with_suffix('.json').write_text('{"key": '), 'does not describe'),
        (lambda path: path.with_suffix('.json').write_text('{}'), 'does not describe'),
        (lambda path: path.with_suffix('.json').write_text('[' * 100_000), 'does not describe'),
        (lambda path: path.with_suffix('.json').write_bytes(b'\xff'), 'does not describe'),
        (edited('"fp16": ', '"fp16": [], "x": '), 'convolutions are not counts'),
        (edited('"batch": 1', '"batch": {}'), 'is of a wrong type'),
        (edited('"gpu": "', '"gpu": "other '), 'foreign'),
    ],
    ids=[
        'truncated',
        'empty',
        'sidecar missing',
        'sidecar cut',
        'sidecar empty',
        'very deep JSON',
        'not UTF-8',
        'wrong convolutions',
        'wrong batch',
        'foreign',
    ],
)
def test_an_engine_that_cannot_be_trusted_is_built_once_more(cache, caplog, damage, reason):
    good = only(cache)
    damage(good.path)
    again = build_engine('fast', SMALL, cache=cache)
    assert again.key == good.key
    assert build_engine('fast', SMALL, cache=cache) == again
    (record,) = caplog.records
    assert reason in record.message


def test_a_full_disk_is_named_and_nothing_half_written_stays(tmp_path):
    directory = tmp_path / 'derain_ros'

    def limit() -> None:  # the same failing write as a full disk, which a test cannot have
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    process = build_command(directory, preexec_fn=limit)
    _, errors = process.communicate()
    assert process.returncode == 2
    assert f'error: {directory}' in errors
    assert 'cannot be written' in errors
    assert [path.name for path in directory.iterdir()] == ['lock']


def test_a_directory_that_cannot_be_made_is_named():
    # /sys refuses root as well
    with pytest.raises(DataError, match=r'/sys/derain_ros: cannot be made .*XDG_CACHE_HOME'):
        build_engine('fast', SMALL, cache=EngineCache(Path('/sys/derain_ros')))


@pytest.mark.parametrize('mode', [0o777, 0o770])
def test_engines_that_others_could_have_planted_are_neither_read_nor_kept(cache, mode):
    path = only(cache).path
    cache.directory.chmod(mode)
    for use in (
        lambda: build_engine('fast', SMALL, cache=cache),
        lambda: cache.read(path),
        lambda: list(cache.entries()),
        lambda: cache.prune(lambda key: True),
    ):
        with pytest.raises(DataError, match=r'other users can write to it.*chmod 700'):
            use()


def test_a_folder_is_no_engine_whatever_its_name(cache):
    entry = only(cache)
    folders = [cache.directory / name for name in ('a.engine', 'b.json', 'c.partial')]
    for folder in folders:
        folder.mkdir()
    with_folder = list(cache.entries())
    assert entry in with_folder
    assert 'a.engine cannot be read (Is a directory)' in str(with_folder)
    assert cache.prune(lambda key: True) == []
    assert all(folder.is_dir() for folder in folders)


@pytest.mark.parametrize('name', ['engine', 'json'])
def test_a_folder_in_place_of_an_engine_is_named(cache, name):
    entry = only(cache)
    path = entry.path.with_suffix(f'.{name}')
    path.unlink()
    path.mkdir()
    with pytest.raises(CacheError, match=rf'{path}(\.partial)? cannot be written \(Is a dir'):
        build_engine('fast', SMALL, cache=cache)
