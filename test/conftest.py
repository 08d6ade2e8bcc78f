"""What tests of several folders share: pictures, and the package as colcon installs it."""

from collections.abc import Iterator
from importlib import import_module
import os
from pathlib import Path
import re
import shutil
import signal
import subprocess
import sys
import threading

from helpers.data import ROOT
from helpers.photos import SHADES
import numpy as np
import pytest

PATIENCE = 60
# Processes that test beside one another must not hear each other's topics.
if worker := os.environ.get('PYTEST_XDIST_WORKER'):
    os.environ['ROS_DOMAIN_ID'] = str(10 + int(worker.removeprefix('gw')))

# test file to the module that it needs and this machine does not have
NOT_COLLECTED: dict[str, str] = {}


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out tests of what is not installed, such as training in a car; CI has all of it."""
    file = collection_path / 'conftest.py' if collection_path.is_dir() else collection_path
    if file.suffix != '.py' or not file.exists() or os.environ.get('CI'):
        return None
    imports = re.findall(r'^(?:from|import) ([\w.]+)', file.read_text(), flags=re.MULTILINE)
    for module in imports:
        try:
            import_module(module)
        except ModuleNotFoundError as missing:
            NOT_COLLECTED[str(collection_path.relative_to(ROOT))] = str(missing.name)
            return True
        except (Exception, pytest.skip.Exception):  # pytest shall report it, or skip that file
            return None
    return None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for path, module in NOT_COLLECTED.items():
        terminalreporter.write_line(
            f'NOT COLLECTED {path}: {module} is not installed; requirements/test.txt has all'
        )


@pytest.fixture
def street() -> np.ndarray:
    """Return a deterministic colourful uint8 picture [H, W, 3] of an odd size, with saturation."""
    rows, columns = np.mgrid[0:93, 0:141].astype(np.float32)
    channels = [128 + 140 * np.sin(rows / a + columns / b) for a, b in ((9, 14), (17, 6), (5, 31))]
    noise = np.random.default_rng(0).normal(0, 12, (93, 141, 3))
    return np.clip(np.stack(channels, axis=-1) + noise, 0, 255).astype(np.uint8)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Return a folder of 24 noisy images, each brighter by ten than the one before."""
    import cv2

    rng = np.random.default_rng(0)
    for index, shade in enumerate(SHADES):
        noise = rng.integers(-5, 6, (160, 240, 3)) * (1, 0, -1)
        image = np.clip(noise + shade, 0, 255).astype(np.uint8)
        path = tmp_path / 'photos' / f'{index:03}.jpg'
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
    return tmp_path / 'photos'


@pytest.fixture(scope='session')
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the checkout with colcon as a ROS user does; give the install prefix."""
    base = tmp_path_factory.mktemp('workspace')
    colcon = shutil.which('colcon', path=f'{Path(sys.executable).parent}:{os.environ["PATH"]}')
    subprocess.run(
        [
            colcon,
            '--log-base',
            base / 'log',
            'build',
            '--base-paths',
            ROOT,
            '--packages-select',
            'derain_ros',
            '--build-base',
            base / 'build',
            '--install-base',
            base / 'install',
        ],
        check=True,
        cwd=base,
        timeout=300,
    )
    return base / 'install' / 'derain_ros'


@pytest.fixture
def environment(installed: Path) -> dict[str, str]:
    """Return the environment that sourcing the workspace's setup file makes."""
    variables = subprocess.run(
        ['bash', '-c', f'source {installed.parent}/local_setup.bash && env -0'],
        check=True,
        capture_output=True,
        text=True,
        cwd=installed,
    ).stdout
    return dict(line.split('=', 1) for line in variables.split('\0') if '=' in line)


@pytest.fixture
def run(environment: dict[str, str], tmp_path: Path) -> Iterator:
    """Start a command in the sourced workspace; give it a line to wait for, get its output."""
    processes = []

    def run(command: list, wait_for: str) -> str:
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=tmp_path,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        processes.append(process)
        output = ''
        patience = threading.Timer(PATIENCE, process.kill)
        patience.start()
        for line in process.stdout:
            output += line
            if re.search(wait_for, line):
                patience.cancel()
                return output
        raise AssertionError(f'ended, or was too slow, without {wait_for!r}:\n{output}')

    yield run
    for process in processes:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=PATIENCE) == 0
