"""YAML files as typed dataclasses; a mistake is named by the path of its key."""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args, get_type_hints, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
import yaml

from training.errors import ConfigError

T = TypeVar('T')
LONGEST_VALUE = 80  # characters of a wrong value that are shown


def read_yaml(path: Path) -> object:
    """
    Read a YAML file.

    :raises ConfigError: it cannot be read.
    """
    try:
        return yaml.safe_load(path.read_text(encoding='utf-8'))
    # ValueError: no UTF-8, or a date that no calendar has
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise ConfigError(f'{path}: not a readable YAML file ({error})') from error


def parse(kind: type[T], values: object, where: str) -> T:
    """
    Make a pydantic dataclass of what a YAML file holds.

    :param where: the values come from, for the message.
    :raises ConfigError: a key is unknown or missing, or its value of another type or out of
        range; the message has one line for each mistake.
    """
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        mistakes = error.errors()
    missing: dict[str, list[str]] = {}
    for mistake in mistakes:
        if mistake['type'] == 'missing':
            *parents, key = mistake['loc']
            missing.setdefault(_path(parents), []).append(str(key))
    lines = [f'{path}missing key: {", ".join(keys)}' for path, keys in missing.items()]
    lines += [_sentence(kind, mistake) for mistake in mistakes if mistake['type'] != 'missing']
    raise ConfigError('\n'.join(f'{where}: {line}' for line in lines))


def _sentence(kind: Any, mistake: ErrorDetails) -> str:
    """Return a mistake in words, such as ``real.bags[0].start: should be ...``."""
    path, value = _path(mistake['loc']), mistake['input']
    if mistake['type'] == 'unexpected_keyword_argument':
        *parents, key = mistake['loc']
        near = get_close_matches(str(key), _keys_at(kind, parents), n=1, cutoff=0.0)
        return f"{_path(parents)}unknown key '{key}'; did you mean '{near[0]}'?"
    if mistake['type'] == 'value_error':  # raised by a check of ours
        return f'{path}{mistake["ctx"]["error"]}'
    if mistake['type'] in ('dataclass_type', 'dict_type'):
        return f'{path}must be a mapping of keys to values'
    shown = repr(value)
    if len(shown) > LONGEST_VALUE:
        shown = f'{shown[:LONGEST_VALUE]}...'
    line = f'{path}{mistake["msg"].removeprefix("Input ")}, not {shown}'
    if mistake['type'] == 'float_type' and isinstance(value, str):
        line += ' (YAML reads 1e-3 as text; write 1.0e-3)'
    return line


def _path(location: Sequence[str | int]) -> str:
    path = ''
    for part in location:
        path += f'[{part}]' if isinstance(part, int) else f'.{part}' if path else part
    return f'{path}: ' if path else ''


def _keys_at(kind: Any, location: Sequence[str | int]) -> list[str]:
    """Return the valid keys of the dataclass at a place in another."""
    for part in location:
        # the values of lists and mappings are of one type
        kind = get_type_hints(kind)[str(part)] if is_dataclass(kind) else get_args(kind)[-1]
    return [item.name for item in fields(kind)]
