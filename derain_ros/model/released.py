"""The released models: where they are, and whether a file still is what was released."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory

from derain_ros.errors import ModelError, quoted
from derain_ros.files import write_atomically

MODELS = Path(__file__).parents[1] / 'models'
# as sha256sum writes it, and ``sha256sum -c SHA256SUMS`` checks it
MANIFEST = 'SHA256SUMS'


def released_names() -> list[str]:
    """Return the names of the released models that are here, sorted."""
    return sorted(path.stem for path in MODELS.glob('*.onnx'))


def find_model(model: str) -> Path:
    """
    Return the path of a model: a released name such as ``fast``, or the path of a file.

    :raises ModelError: there is no such model, or its folder may not be entered.
    """
    if model in (names := released_names()):
        return MODELS / f'{model}.onnx'
    try:
        path = Path(model).expanduser()
        if path.is_file():
            return path
    # a folder that may not be entered, a name too long; the home of a user who has none
    except (OSError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ModelError(f'model {quoted(model, 300)}: cannot be opened ({reason})') from error
    if f'{model}.onnx' in read_manifest(MODELS):
        raise ModelError(
            f'model {model!r}: is released, but not installed with the package, which has what a '
            f'car needs; take {model}.onnx of the release or the repository, and give its path'
        )
    raise ModelError(
        f'model {quoted(model, 300)}: neither a released name ({", ".join(names)}) nor a file'
    )


def read_model(path: Path) -> bytes:
    """
    Return the bytes of a model file, checked against the manifest beside it if it is named there.

    :raises ModelError: the file cannot be read, or is not the one of the manifest.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f'{path}: cannot be read ({error.strerror})') from error
    expected = read_manifest(path.parent).get(path.name)
    if expected not in (None, hashlib.sha256(content).hexdigest()):
        raise ModelError(
            f'{path}: is damaged or another file, its sha256 is not the one in {MANIFEST} beside '
            'it; install derain_ros again, or write the model with training/release.py'
        )
    return content


def read_manifest(folder: Path) -> dict[str, str]:
    """
    Return the sha256 of each file that the manifest of a folder names; none without a manifest.

    :raises ModelError: there is a manifest, but it cannot be read.
    """
    path = folder / MANIFEST
    try:
        if not path.exists():
            return {}
        lines = path.read_text().splitlines()
        return {name: digest for digest, name in (line.split('  ', 1) for line in lines)}
    except (OSError, ValueError) as error:
        raise ModelError(
            f'{path}: cannot be read as "sha256  file" in each line ({error}); install '
            'derain_ros again, or remove it if the models beside it are your own'
        ) from error


def update_manifest(folder: Path, names: Iterable[str]) -> None:
    """
    Write the sha256 of files of a folder into its manifest; lines of other files stay as they are.

    :raises ModelError: the manifest that is there cannot be read.
    :raises OSError: a file cannot be read, or the manifest not be written.
    """
    digests = read_manifest(folder)
    for name in names:
        digests[name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    lines = [f'{digest}  {name}\n' for name, digest in sorted(digests.items())]
    write_atomically(folder / MANIFEST, ''.join(lines).encode())


@contextmanager
def onnx_file(model: str) -> Iterator[str]:
    """
    Return a model as a name or path that ``load_graph`` takes; of weights, a passing ONNX file.

    :param model: released name, path of an ONNX file, or of weights (safetensors; needs torch).
    :raises ModelError: weights are given that cannot be used; or torch is not installed.
    """
    if not model.endswith('.safetensors'):
        yield model
        return
    try:
        from derain_ros.model.export import export, load_network
    except ImportError as error:
        raise ModelError(
            f'{model}: weights need torch ({error}); pip install -r '
            'requirements/training.txt, or give the ONNX file'
        ) from error
    with TemporaryDirectory() as folder:
        path = str(Path(folder) / 'model.onnx')
        try:
            export(load_network(Path(model).expanduser()), Path(path))
            yield path
        except ModelError as error:
            raise ModelError(str(error).replace(path, model)) from error
