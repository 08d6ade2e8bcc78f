#!/usr/bin/env python3
"""
Gather the files of a release into a new folder, and list the sha256 of each.

    .venv/bin/python scripts/make_release.py dist/0.2.0

They are the package as a wheel, and of each released model three forms: the ONNX graph of the
repository, its float16 graph for other tools, and its weights for PyTorch (safetensors).
"""

import argparse
from pathlib import Path
import shutil
import subprocess
import sys
from tempfile import TemporaryDirectory

import _root  # noqa: F401  lets this repository be imported
from safetensors.torch import save

import derain_ros
from derain_ros.errors import DerainError
from derain_ros.export import write_onnx
from derain_ros.model.export import load_network
from derain_ros.model.released import MODELS, released_names, update_manifest

ROOT = Path(__file__).resolve().parents[1]
NEXT = """
The files of derain_ros {version} are in {folder}. Now publish them:

    git tag {version} && git push origin {version}
    gh release create {version} {folder}/* --title {version} --notes-file CHANGELOG.rst
"""


class ReleaseError(DerainError):
    """The repository is not ready to be released; the message says why."""


def check_ready(folder: Path, root: Path = ROOT) -> None:
    """
    Check what is easily forgotten.

    :raises ReleaseError: the folder is there, files are not committed, or the changelog does not
        have the version.
    """
    if folder.exists():
        raise ReleaseError(f'{folder}: is there already; name a new folder')
    changed = _run('git', 'status', '--porcelain', at=root)
    if changed:
        raise ReleaseError(f'{changed.split()[1]}: is not committed; commit or remove it')
    version = derain_ros.__version__
    if f'\n{version} (' not in (root / 'CHANGELOG.rst').read_text():
        raise ReleaseError(
            f'CHANGELOG.rst: has no section "{version} (date)", which is the version of '
            'package.xml; name what is Forthcoming so, or raise the version'
        )


def gather(folder: Path) -> None:
    """
    Write the files of a release, and their manifest.

    :raises ModelError: a released model is damaged.
    :raises ReleaseError: the wheel cannot be built.
    """
    folder.mkdir(parents=True)
    for name in released_names():
        shutil.copy(MODELS / f'{name}.onnx', folder)
        write_onnx(name, folder / f'{name}-fp16.onnx', 'fp16')
        network = load_network(MODELS / f'{name}.onnx').half()
        weights = save(network.state_dict(), {'shape': network.shape.to_json()})
        (folder / f'{name}.safetensors').write_bytes(weights)
    with TemporaryDirectory() as committed:  # without what earlier builds left behind
        archive = Path(committed) / 'source.tar'
        _run('git', 'archive', '--output', str(archive), 'HEAD')
        shutil.unpack_archive(archive, Path(committed) / 'source')
        pip = (sys.executable, '-m', 'pip', 'wheel', '--no-deps', '--no-build-isolation')
        _run(*pip, '--wheel-dir', str(folder), str(Path(committed) / 'source'))
    update_manifest(folder, [path.name for path in folder.iterdir()])


def _run(*command: str, at: Path = ROOT) -> str:
    done = subprocess.run(command, cwd=at, capture_output=True, text=True)
    if done.returncode:
        raise ReleaseError(f'{" ".join(command)}: {done.stderr.strip()}')
    return done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('folder', type=Path, help='to write; it does not exist')
    folder = parser.parse_args().folder.resolve()
    try:
        check_ready(folder)
        gather(folder)
    except (DerainError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    print(NEXT.format(version=derain_ros.__version__, folder=folder))
    return 0


if __name__ == '__main__':
    sys.exit(main())
