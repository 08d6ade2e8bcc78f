"""The engine cache where files or its directory are damaged, and where others could write."""

from collections.abc import Callable
import os
from pathlib import Path
import resource

from helpers.engines import build_command, only, SMALL
import pytest

from derain_ros.engine.tensorrt.build import build_engine
from derain_ros.engine.tensorrt.cache import EngineCache
from derain_ros.engine.tensorrt.entry import CacheError


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


def test_a_directory_that_cannot_be_written_is_named():
    # /sys refuses root as well
    with pytest.raises(CacheError, match=r'/sys/derain_ros cannot be written .*XDG_CACHE_HOME'):
        build_engine('fast', SMALL, cache=EngineCache(Path('/sys/derain_ros')))


@pytest.mark.parametrize('mode', [0o777, 0o770])
def test_a_directory_that_others_can_write_is_not_trusted(cache, mode):
    path = only(cache).path
    cache.directory.chmod(mode)
    with pytest.raises(CacheError, match=r'plant an engine.*chmod 700'):
        build_engine('fast', SMALL, cache=cache)
    with pytest.raises(CacheError, match='plant an engine'):
        cache.read(path)


def test_a_directory_of_another_user_is_not_trusted(cache, monkeypatch):
    status = os.stat_result((0o40700, 0, 0, 2, 4321, 4321, 0, 0, 0, 0))
    monkeypatch.setattr(Path, 'stat', lambda *_, **__: status)
    with pytest.raises(CacheError, match='plant an engine'):
        cache.read(cache.directory / 'any.engine')


def test_a_directory_that_may_not_be_entered_is_named(cache, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, 'Permission denied')

    monkeypatch.setattr(Path, 'stat', refuse)
    with pytest.raises(CacheError, match=r'derain_ros cannot be entered \(Permission denied\); '):
        cache.read(cache.directory / 'any.engine')


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


def test_a_directory_that_is_a_file_is_named(tmp_path):
    (tmp_path / 'derain_ros').write_bytes(b'')
    with pytest.raises(CacheError, match=r'derain_ros cannot be .* set XDG_CACHE_HOME'):
        build_engine('fast', SMALL, cache=EngineCache(tmp_path / 'derain_ros'))


def test_a_lock_that_is_a_link_leads_nowhere(cache, tmp_path):
    victim = tmp_path / 'victim'
    (cache.directory / 'lock').unlink()
    (cache.directory / 'lock').symlink_to(victim)
    with pytest.raises(CacheError, match='lock cannot be written'):
        cache.prune(lambda key: False)
    assert not victim.exists()


def test_a_user_without_a_home_is_told_the_way_out(monkeypatch):
    def refuse() -> None:  # as where the user has no entry in the user database
        raise RuntimeError('Could not determine home directory.')

    monkeypatch.delenv('XDG_CACHE_HOME', raising=False)
    monkeypatch.setattr(Path, 'home', refuse)
    with pytest.raises(CacheError, match=r'home directory\. Set XDG_CACHE_HOME'):
        EngineCache()
