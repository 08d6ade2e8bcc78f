"""Which files are a rainy/clean pair, in the layouts that the public sets come in."""

from collections.abc import Iterable
from pathlib import Path
import re
import warnings

from derain_ros.errors import DataError
from derain_ros.media.images import image_files, IMAGE_SUFFIXES

RAINY_FOLDERS = ('rainy', 'input', 'rain', 'rainy_image')
CLEAN_FOLDERS = ('clean', 'target', 'norain', 'gt', 'ground_truth')
LAYOUTS = (
    'accepted are: '
    + ' or '.join(f'{name}/' for name in RAINY_FOLDERS)
    + ' beside '
    + ' or '.join(f'{name}/' for name in CLEAN_FOLDERS)
    + ', with partners N + N, rain-N + norain-N, norain-Nx2 + norain-N, or N_1, N_2, ... + N; '
    'rain-N + norain-N in one folder; or each pair in one image, side by side'
)
# parts of the synthesis that some sets ship beside the pairs
EXTRA = re.compile('rain(streak|region|mask)', re.IGNORECASE)


def number(path: Path) -> int | None:
    """Return the number that ends a file's stem: 7 of ``rain-007x2.png``; None without one."""
    match = re.search(r'(\d+)(x2)?$', path.stem)
    return int(match.group(1)) if match else None


def partners(folder: Path) -> list[tuple[Path, Path]] | None:
    """
    Match the rainy and the clean files of a folder, in the order of the rainy ones' names.

    :returns: None where each pair is one image, side by side.
    :raises DataError: there are no images; it is not clear which files are partners; one has
        no partner.
    """
    if not folder.is_dir():
        image_files(folder)  # says what is there instead
    rainy_folder, clean_folder = _subfolders(folder)
    if rainy_folder and clean_folder:
        return _match(folder, _images(rainy_folder), _images(clean_folder))
    if not any(path.suffix.lower() in IMAGE_SUFFIXES for path in folder.iterdir()):
        raise DataError(f'{folder}: holds no pairs; {LAYOUTS}')
    files = _images(folder)
    clean = [path for path in files if path.stem.startswith('norain')]
    rainy = [path for path in files if path.stem.startswith('rain')]
    return _match(folder, rainy, clean) if clean or rainy else None


def _subfolders(folder: Path) -> tuple[Path | None, Path | None]:
    """Return the folder of the rainy and that of the clean images; None where there is none."""
    found: list[Path | None] = []
    for names in (RAINY_FOLDERS, CLEAN_FOLDERS):
        paths = sorted(
            path for path in folder.iterdir() if path.is_dir() and path.name.lower() in names
        )
        if len(paths) > 1:
            raise DataError(
                f'{folder}: which of {", ".join(path.name for path in paths)} belongs to the '
                'pairs? move the others out of it'
            )
        found.append(paths[0] if paths else None)
    rainy, clean = found
    for one, other in ((rainy, clean), (clean, rainy)):
        if one and not other:
            raise DataError(f'{folder}: has {one.name}/ alone; {LAYOUTS}')
    return rainy, clean


def _images(folder: Path) -> list[Path]:
    """List the images of a folder, or of the one folder in it, as Rain100H has it (rain/X2)."""
    inner = [path for path in folder.iterdir() if path.is_dir()]
    if len(inner) == 1 and not any(
        path.suffix.lower() in IMAGE_SUFFIXES for path in folder.iterdir()
    ):
        folder = inner[0]
    files = image_files(folder)
    extra = [path for path in files if EXTRA.match(path.stem)]
    if extra:
        warnings.warn(
            f'{folder}: {len(extra)} files such as {extra[0].name} are no part of a pair, and '
            'are left out',
            stacklevel=2,
        )
    return [path for path in files if path not in extra]


def _match(folder: Path, rainy: list[Path], clean: list[Path]) -> list[tuple[Path, Path]]:
    rainy_by_key, clean_by_key = _by_key(rainy), _by_key(clean)
    scene_of = {key: key for key in rainy_by_key}
    if not rainy_by_key.keys() & clean_by_key.keys():
        # several rainy images of one scene: 1_1 to 1_14 of 1, as Rain1400 has it
        scene_of = {key: _scene(key, clean_by_key) for key in rainy_by_key}
    lonely = [rainy_by_key[key] for key, scene in scene_of.items() if scene not in clean_by_key]
    lonely += [clean_by_key[key] for key in clean_by_key.keys() - set(scene_of.values())]
    if lonely:
        raise DataError(
            f'{min(lonely)}: has no partner ({len(lonely)} such in {folder}); '
            f'add the partner or remove the file; {LAYOUTS}'
        )
    return [(path, clean_by_key[scene_of[key]]) for key, path in rainy_by_key.items()]


def _scene(key: str, scenes: Iterable[str]) -> str:
    """Return the longest scene that a name begins with, up to an underscore; or the name."""
    parts = key.split('_')
    names = ('_'.join(parts[:count]) for count in range(len(parts) - 1, 0, -1))
    return next((name for name in names if name in scenes), key)


def _by_key(files: list[Path]) -> dict[str, Path]:
    """Return the files by what a rainy and a clean partner have in common."""
    by_key: dict[str, Path] = {}
    for path in files:
        key = re.sub(r'(?<=\d)x2$', '', re.sub('^(no)?rain', '', path.stem))
        other = by_key.setdefault(key, path)
        if other != path:
            raise DataError(
                f'{path}: {other.name} has the same name but for the suffix; remove one of them'
            )
    return by_key
