"""Nothing imports upwards: configuration < data < scores < loop < scripts."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

from helpers.data import ROOT

BASE = ('training.errors', 'training.yaml_files', 'training.configuration')
LAYERS = ('training.data', 'training.scores', 'training.loop')


def module(path: Path) -> str:
    return '.'.join(path.relative_to(ROOT).with_suffix('').parts).removesuffix('.__init__')


def imports(path: Path) -> set[str]:
    """Return the modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f'{path}: imports show whose a name is'
            found.add(node.module or '')
            found |= {f'{node.module}.{name.name}' for name in node.names}
    return found


def graph(package: str) -> dict[str, set[str]]:
    paths = {module(path): path for path in (ROOT / package).rglob('*.py')}
    return {name: imports(path) & paths.keys() - {name} for name, path in paths.items()}


def layer(name: str) -> int:
    if name in BASE:
        return BASE.index(name)
    for index, package in enumerate(LAYERS):
        if name == package or name.startswith(f'{package}.'):
            return len(BASE) + index
    return len(BASE) + len(LAYERS)


def test_no_module_of_training_imports_one_above_it() -> None:
    upwards = [
        f'{name} imports {other}'
        for name, others in graph('training').items()
        for other in others
        if layer(other) > layer(name)
    ]
    assert upwards == []


def test_no_modules_of_training_import_each_other() -> None:
    assert list(TopologicalSorter(graph('training')).static_order())


def test_what_runs_in_the_car_never_imports_training() -> None:
    for path in (ROOT / 'derain_ros').rglob('*.py'):
        assert not any(name.split('.')[0] == 'training' for name in imports(path)), path


def test_scripts_import_no_other_script_but_the_training_that_an_ablation_repeats() -> None:
    scripts = {
        module(path)
        for path in (ROOT / 'training').glob('*.py')
        if "__name__ == '__main__'" in path.read_text()
    }
    found = {
        (name, other) for name, others in graph('training').items() for other in others & scripts
    }
    assert found == {('training.ablation', 'training.train')}
