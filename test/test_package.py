"""The package as colcon builds and ROS finds it."""

import os
from pathlib import Path
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

from helpers.data import ROOT

PATIENCE = 60


def test_colcon_installs_what_the_car_needs(installed):
    share = installed / 'share' / 'derain_ros'
    for name in (
        'package.xml',
        'launch/derain.launch.py',
        'config/derain.yaml',
        'config/fastdds_shm.xml',
    ):
        assert (share / name).is_file(), name
    assert (installed / 'share/ament_index/resource_index/packages/derain_ros').is_file()
    (models,) = installed.rglob('derain_ros/models')
    assert {path.name for path in models.iterdir()} == {'fast.onnx', 'SHA256SUMS'}
    size = sum(path.stat().st_size for path in installed.rglob('*') if path.is_file())
    assert size < 10e6


def test_the_installed_node_runs_from_the_sourced_workspace(installed, run):
    node = installed / 'lib' / 'derain_ros' / 'derain_node'
    run(
        [node, '--ros-args', '-r', '__ns:=/test_package'],
        r'de-raining /test_package/image_raw into /test_package/image_derained with openvino',
    )


def test_the_version_of_package_xml_is_the_one_that_is_installed(installed, environment):
    version = ElementTree.parse(ROOT / 'package.xml').findtext('version')
    assert f'\n{version} (' in (ROOT / 'CHANGELOG.rst').read_text()
    said = subprocess.run(
        [sys.executable, '-c', 'import derain_ros; print(derain_ros.__version__)'],
        env=environment,
        cwd=installed,
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == f'{version}\n'


def imports(*files: Path) -> set[str]:
    """Name what the files import, less the standard library and this package."""
    names = {
        name
        for file in files
        for name in re.findall(r'^\s*(?:from|import) (\w+)', file.read_text(), re.MULTILINE)
    }
    return names - set(sys.stdlib_module_names) - {'derain_ros'}


def test_every_import_is_a_dependency():
    package = ElementTree.parse(ROOT / 'package.xml').getroot()
    depends = {element.text for element in package if element.tag.endswith('depend')}
    required = {
        name
        for file in (ROOT / 'requirements').glob('*.txt')
        for name in re.findall(r'^([\w-]+)[[=<]', file.read_text(), re.MULTILINE)
    }
    names = {'cv2': 'python3-opencv', 'numpy': 'python3-numpy', 'cuda': 'cuda-bindings'}
    names |= {'PIL': 'pillow', 'yaml': 'PyYAML'}
    imported = imports(*(ROOT / 'derain_ros').rglob('*.py'), *(ROOT / 'launch').glob('*.py'))
    assert {names.get(name, name) for name in imported} <= depends | required
    assert not {name for name in depends if name.startswith('rmw_')}, 'any middleware will do'
    of_ros = re.compile(r'\w+_msgs|rcl\w+|launch\w*')
    assert set(filter(of_ros.fullmatch, imports(*(ROOT / 'test').rglob('*.py')))) <= depends


def test_make_hands_input_and_topic_to_the_demo():
    said = subprocess.run(
        ['make', '-n', 'demo', 'INPUT=my drive', 'TOPIC=/front/image_raw'],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "demo/demo.py --input 'my drive' --topic '/front/image_raw'" in said


IN_THE_CAR = """
import sys
sys.modules |= dict.fromkeys(['torch', 'safetensors', 'onnxscript', 'tqdm', 'tensorrt'])
import derain_ros.node.node, derain_ros.node.transport, derain_ros.engine.failover
from derain_ros.engine.factory import create_engine
print(create_engine('openvino', 'fast').name)
"""


def test_the_car_needs_nothing_of_what_training_needs():
    said = subprocess.run(
        [sys.executable, '-c', IN_THE_CAR], cwd=ROOT, capture_output=True, text=True
    )
    assert (said.stdout, said.returncode) == ('openvino\n', 0), said.stderr


def collected(modules: Path, *where: str) -> str:
    """Return what pytest finds where some modules are others, or cannot be imported."""
    environment = {**os.environ, 'PYTHONPATH': f'{modules}:{ROOT}'}
    environment.pop('CI', None)
    said = subprocess.run(
        [sys.executable, '-m', 'pytest', '--collect-only', '-q', *where],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert said.returncode == 0, said.stdout[-2000:]
    return said.stdout


def test_a_car_without_the_training_stack_tests_what_it_has(tmp_path):
    (tmp_path / 'torch.py').write_text("raise ModuleNotFoundError('no torch', name='torch')")
    said = collected(tmp_path)
    assert 'NOT COLLECTED test/training: torch is not installed' in said
    assert 'test/unit/test_scheduler.py::' in said


def test_a_machine_without_tensorrt_tests_what_it_has(tmp_path):
    for name in ('tensorrt', 'tensorrt_rtx', 'tensorrt_rtx_bindings'):
        (tmp_path / f'{name}.py').write_text(
            f"raise ModuleNotFoundError('no {name}', name='{name}')"
        )
    said = collected(tmp_path, 'test/unit')
    assert 'test/unit/test_scheduler.py::' in said
    assert 'test/unit/test_build_engine.py::' not in said


def test_hosted_tests_and_constraints_name_the_same_distributions():
    import yaml

    workflow = yaml.safe_load((ROOT / '.github' / 'workflows' / 'ci.yml').read_text())
    matrices = [workflow['jobs'][job]['strategy']['matrix'] for job in ('ros', 'docker')]
    files = (ROOT / 'requirements').glob('constraints-*.txt')
    constrained = {path.stem.removeprefix('constraints-') for path in files}
    assert [set(matrix['distribution']) for matrix in matrices] == [constrained] * 2
