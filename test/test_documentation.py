"""README and docs: what they say is there, and what they show runs."""

import ast
import os
from pathlib import Path
import re
import shlex
import subprocess
import sys

from helpers.data import ROOT
from helpers.pages import anchors, blocks, commands, examples, languages, links, name, PAGES, rows
import pytest
import yaml

RUNNERS = {
    command: runner
    for runner, run in yaml.safe_load(
        (ROOT / 'test' / 'documented_commands.yaml').read_text()
    ).items()
    for command in run
}
# pages whose commands are for contributors
OTHERS = [*sorted({*ROOT.glob('*.md')} - {*PAGES}), ROOT / 'docker' / 'README.md']
FILES = r'\b((?:benchmarks|config|docs|gpu|requirements|test|training)/[^\s;]+)'


def test_every_command_of_the_pages_is_known_to_be_run_or_says_what_it_needs() -> None:
    shown = {command for page in PAGES for command in commands(page)}

    assert shown - RUNNERS.keys() == set(), 'add them to test/documented_commands.yaml'
    assert RUNNERS.keys() - shown == set(), 'no page shows them any more'
    for runner in RUNNERS.values():
        assert runner == 'CI' or '::' in runner or runner.startswith('needs '), runner


def test_every_test_that_runs_a_command_is_there() -> None:
    for runner in filter(lambda runner: '::' in runner, RUNNERS.values()):
        file, function = runner.split('::')
        tests = [path.read_text() for path in (ROOT / 'test').rglob(file)]
        assert any(f'\ndef {function}(' in test for test in tests), runner


def source(module: str) -> Path:
    """Return the file of a module; of a package, the one that it runs as."""
    path = ROOT.joinpath(*module.split('.'))
    return path / '__main__.py' if path.is_dir() else path.with_suffix('.py')


def sources(command: str) -> list[Path]:
    """Return the program of ours that a command runs, if it is one, and what that imports."""
    found = re.search(r'python3 (?:-m (derain_ros[\w.]*)|([\w/]+\.py))', command)
    if found is None:
        return []
    program = ROOT / found[2] if found[2] else source(found[1])
    imported = re.findall(r'^from ((?:derain_ros|training)[\w.]*)', program.read_text(), re.M)
    return [program, *filter(Path.exists, map(source, imported))]


@pytest.mark.parametrize('command', sorted(RUNNERS))
def test_files_and_options_of_a_command_are_there(command: str) -> None:
    for path in re.findall(FILES, command):
        assert (ROOT / path.replace('$ROS_DISTRO', 'lyrical')).exists(), path
    if programs := sources(command):
        texts = [program.read_text() for program in programs]
        for option in re.findall(r' (--[\w-]+)', command.partition('python3 ')[2]):
            assert any(f"'{option}'" in text for text in texts), f'{programs[0]} has no {option}'
    if command.startswith('make '):
        assert f'\n{command.split()[1]}:' in (ROOT / 'Makefile').read_text()
    if command.startswith('ros2 launch'):
        file = ROOT / 'launch' / command.split()[3]
        files = [file.read_text(), (ROOT / 'launch' / 'derain.launch.py').read_text()]
        for argument in re.findall(r'(\w+):=', command):
            assert any(f"'{argument}'" in text for text in files), argument


@pytest.mark.parametrize('page', PAGES + OTHERS, ids=name)
def test_what_a_page_links_to_is_there(page: Path) -> None:
    for target in links(page):
        path, _, anchor = target.partition('#')
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        if anchor:
            assert anchor in anchors(linked), target


@pytest.mark.parametrize('page', PAGES, ids=name)
def test_every_block_of_code_says_what_it_is(page: Path) -> None:
    assert '' not in languages(page)
    for block in blocks(page, 'bash'):
        subprocess.run(['bash', '-n', '-c', block], check=True)
    for block in blocks(page, 'yaml'):
        assert yaml.safe_load(block)


def test_the_readme_is_read_in_three_minutes() -> None:
    assert len((ROOT / 'README.md').read_text().splitlines()) <= 130
    (example,) = blocks(ROOT / 'README.md', 'python')
    assert len([line for line in example.splitlines() if line.strip()]) <= 6


@pytest.mark.parametrize('page', list(filter(examples, PAGES)), ids=name)
def test_the_python_examples_of_a_page_run(page: Path, tmp_path: Path, street) -> None:
    import cv2

    cv2.imwrite(str(tmp_path / 'rainy.png'), street)
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    for example in examples(page):
        subprocess.run([sys.executable, '-c', example], cwd=tmp_path, env=environment, check=True)
        if 'clean.png' in example:
            assert cv2.imread(str(tmp_path / 'clean.png')).shape == street.shape


def test_headline_figures_are_those_of_the_results() -> None:
    results = rows(ROOT / 'docs' / 'results.md', '', 'weights', 'input Y')
    measured = {
        (data, model.strip('`')): (before.split()[0], after.split()[0])
        for data, model, before, after, *_ in results
    }
    models = ('fast', 'fast-light', 'fast-heavy')
    headlines = rows(ROOT / 'README.md', '', 'input', '`fast`')
    assert headlines
    for data, before, *scores in headlines:
        for model, score in zip(models, scores, strict=True):
            if score:
                assert measured[data, model] == (before, score)


def test_every_released_model_has_a_card_and_a_small_plot_or_says_that_no_log_was_kept() -> None:
    from derain_ros.model.released import released_names

    cards = ROOT / 'docs' / 'models.md'
    text = cards.read_text()
    for model in released_names():
        assert model in anchors(cards)
        card = text.split(f'\n## {model}\n')[1].split('\n## ')[0]
        plot = cards.parent / 'plots' / f'{model}.svg'
        if plot.exists():
            assert f'plots/{model}.svg' in card
            assert plot.stat().st_size < 60_000
        else:
            assert 'no log was kept' in card


def test_launch_arguments_are_those_of_the_launch_file() -> None:
    module = ast.parse((ROOT / 'launch' / 'derain.launch.py').read_text())
    (declared,) = (
        ast.literal_eval(node.value)
        for node in module.body
        if isinstance(node, ast.Assign) and node.targets[0].id == 'ARGUMENTS'
    )
    shown = [row[0] for row in rows(ROOT / 'docs' / 'node.md', 'argument', 'default')]

    assert sorted(shlex.split(' '.join(shown).replace('`', '').replace(',', ' '))) == sorted(
        declared
    )


def requirements(file: Path) -> set[str]:
    """Return the lines of a requirements file, and of those that it includes."""
    lines = {line.split('#')[0].strip() for line in file.read_text().splitlines()} - {''}
    included = {line for line in lines if line.startswith('-r ')}
    return (lines - included).union(
        *(requirements(file.parent / line.removeprefix('-r ')) for line in included)
    )


def test_what_ci_installs_has_all_that_the_pages_install() -> None:
    folder = ROOT / 'requirements'
    for command, runner in RUNNERS.items():
        if runner == 'CI' and command.startswith('pip install -r '):
            file = ROOT / command.removeprefix('pip install -r ')
            assert requirements(file) <= requirements(folder / 'test.txt')


@pytest.mark.parametrize('block', blocks(ROOT / 'docs' / 'training.md', 'yaml'))
def test_the_keys_of_experiments_are_those_that_training_takes(block: str) -> None:
    configuration = pytest.importorskip('training.configuration', exc_type=ImportError)
    quick = yaml.safe_load((ROOT / 'training' / 'config' / 'quick.yaml').read_text())

    configuration.make_config(quick | yaml.safe_load(block), 'docs/training.md')
