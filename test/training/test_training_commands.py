"""How every script ends, and how it says what went wrong."""

from pathlib import Path
import subprocess
import sys
import warnings

from helpers.data import ROOT
import pytest

from derain_ros.errors import DataError, ModelError
from training.commands import check_writable, command
from training.errors import ConfigError, RunError


@pytest.mark.parametrize(
    ('error', 'status', 'said'),
    [
        (None, 0, ''),
        (DataError('x.png: broken; remove it'), 2, 'error: x.png: broken; remove it\n'),
        (ConfigError('a.yaml: wrong'), 2, 'error: a.yaml: wrong\n'),
        (RunError('out: held'), 2, 'error: out: held\n'),
        (ModelError('m.onnx: none'), 2, 'error: m.onnx: none\n'),
        (OSError(28, 'No space left', 'x.csv'), 2, "error: [Errno 28] No space left: 'x.csv'\n"),
        (KeyboardInterrupt(), 130, 'interrupted\n'),
    ],
)
def test_scripts_end_with_a_status_and_one_line(
    error: BaseException | None, status: int, said: str, capsys: pytest.CaptureFixture
) -> None:
    @command
    def main() -> None:
        if error:
            raise error

    assert main() == status
    assert capsys.readouterr().err == said


def test_a_fault_of_ours_is_not_hidden() -> None:
    @command
    def main() -> None:
        raise AssertionError

    with pytest.raises(AssertionError):
        main()


def test_warnings_are_one_line_and_names_of_any_bytes_can_be_printed() -> None:
    code = (
        'from training.commands import command\nimport warnings\n'
        '@command\ndef main():\n'
        '    warnings.warn("bag: damaged")\n    print("caf\\udce9.png")\nmain()'
    )
    done = subprocess.run(
        [sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert (done.stdout, done.stderr) == ('caf\\udce9.png\n', 'warning: bag: damaged\n')


def test_the_format_of_warnings_is_given_back() -> None:
    before = warnings.formatwarning
    assert command(lambda: None)() == 0
    assert warnings.formatwarning is before


def test_folders_that_cannot_be_written_to_are_named(tmp_path: Path) -> None:
    check_writable(tmp_path / 'new' / 'folder')
    assert list((tmp_path / 'new' / 'folder').iterdir()) == []
    (tmp_path / 'file').touch()
    with pytest.raises(DataError, match=r'file: cannot be written to .*; choose another'):
        check_writable(tmp_path / 'file')


def test_every_script_ends_in_this_way() -> None:
    texts = {path.stem: path.read_text() for path in (ROOT / 'training').glob('*.py')}
    scripts = {name for name, text in texts.items() if text.startswith('#!')}

    assert {'train', 'evaluate', 'release', 'write_bag'} < scripts
    for name in scripts:
        assert '@command\ndef main() -> None:\n' in texts[name], name
        assert texts[name].endswith("if __name__ == '__main__':\n    sys.exit(main())\n"), name


@pytest.mark.parametrize('name', ['ablation', 'history'])  # the others do so in their own tests
def test_scripts_run_from_anywhere_by_their_path(name: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / 'training' / f'{name}.py', '--help'],
        cwd=tmp_path,
        env={'PATH': '/usr/bin'},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f'usage: {name}.py')
