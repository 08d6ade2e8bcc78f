"""What there is to do: which inputs there are, and where their results go."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
import os
from pathlib import Path
from typing import Literal

from PIL import Image

from derain_ros.errors import DataError
from derain_ros.media.images import check_regular, FORMATS, IMAGE_SUFFIXES, VIDEO_SUFFIXES
from derain_ros.media.recordings import BAG_SUFFIXES, is_bag, MORE_SUFFIXES

Kind = Literal['image', 'video', 'bag']
METADATA = 'metadata.yaml'
# of so many images the sizes are looked at, and so many sizes are compiled one by one
LOOKED_AT, FEW_SIZES = 16, 3


@dataclass(frozen=True)
class Item:
    """One input: an image, a video or a recording, and where its result goes."""

    kind: Kind
    source: Path
    target: Path

    @property
    def size_bytes(self) -> int:
        """Of the input, all its files together."""
        if self.source.is_dir():
            return sum(file.stat().st_size for file in self.source.rglob('*') if file.is_file())
        return self.source.stat().st_size


def find_items(source: Path, target: Path) -> list[Item]:
    """
    List what an input holds, by name.

    :param source: image, video, recording, or a folder of them, which is searched to its depth.
    :param target: of the same kind; a folder takes a file under its own name.
    :raises DataError: there is no such input, nothing in it can be de-rained, or the target does
        not fit it.
    """
    if not source.exists():
        raise DataError(f'{source}: no such file or folder')
    if source.is_dir() and source.resolve() in target.resolve().parents:
        raise DataError(f'{target}: lies in the input {source}; give another output')
    kind = _kind(source)
    if kind is None and not source.is_dir():
        known = sorted({*IMAGE_SUFFIXES, *VIDEO_SUFFIXES, *BAG_SUFFIXES})
        raise DataError(f'{source}: neither image, video nor bag ({", ".join(known)})')
    if kind is None:
        items = [
            Item(found, path, target / path.relative_to(source)) for path, found in _walk(source)
        ]
    elif source.is_dir():
        items = [Item(kind, source, target)]
    else:
        into = target.is_dir() or not target.suffix or str(target).endswith(os.sep)
        items = [Item(kind, source, target / source.name if into else target)]
    if not items:
        raise DataError(f'{source}: holds no image, video or bag')
    for item in items:
        _check(item)
    return items


def have_many_sizes(items: list[Item]) -> bool:
    """Tell whether the first images are of more sizes than are worth compiling one by one."""
    images = [item.source for item in items if item.kind == 'image']
    sizes = set()
    for path in images[:LOOKED_AT]:
        with suppress(Exception):  # what is damaged is said when its turn comes
            check_regular(path)
            with Image.open(path, formats=FORMATS) as image:
                sizes.add(image.size)
    return len(sizes) > FEW_SIZES


def shard(items: list[Item], text: str) -> list[Item]:
    """
    Return every n-th item from the i-th on; all shards together are all items.

    :param text: ``i/n``, with i from 0 to n - 1.
    :raises DataError: it is not.
    """
    number, _, count = text.partition('/')
    if not (number.isdecimal() and count.isdecimal() and int(number) < int(count)):
        raise DataError(f'--shard {text}: give i/n with i from 0 to n - 1, such as 0/8')
    return items[int(number) :: int(count)]


def _kind(path: Path) -> Kind | None:
    if path.is_dir():
        return 'bag' if (path / METADATA).exists() else None
    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return 'image'
    if suffix in VIDEO_SUFFIXES:
        return 'video'
    return 'bag' if is_bag(path) else None


def _walk(folder: Path) -> Iterator[tuple[Path, Kind]]:
    for path in sorted(folder.iterdir()):
        kind = _kind(path)
        if kind is not None:
            yield path, kind
        elif path.is_dir() and not path.is_symlink() and not path.name.endswith('.partial'):
            yield from _walk(path)


def _check(item: Item) -> None:
    """Raise a DataError where a target would be its own input, or of a kind not written."""
    source, target = item.source, item.target
    if target.exists() and target.samefile(source):
        raise DataError(f'{target}: is the input itself; give another output')
    if target.is_dir() != source.is_dir() and target.exists():
        kinds = [('a file', 'a folder')[path.is_dir()] for path in (target, source)]
        raise DataError(f'{target}: is {kinds[0]}, but {source} is {kinds[1]}; give another name')
    allowed = {
        'image': IMAGE_SUFFIXES,
        'video': VIDEO_SUFFIXES,
        'bag': {_bag_suffix(source)},
    }[item.kind]
    suffix = _bag_suffix(target) if item.kind == 'bag' else target.suffix.lower()
    if not source.is_dir() and suffix not in allowed:
        raise DataError(
            f'{target}: {source} can be written as {", ".join(sorted(allowed))}; '
            'name the output so'
        )


def _bag_suffix(path: Path) -> str:
    """Return the suffix of a file of a recording, with that of its compression."""
    if path.suffix in MORE_SUFFIXES:
        return ''.join(path.suffixes[-2:])
    return path.suffix
