"""What a built engine is: the key it is found by, what is known of it, and its files."""

from dataclasses import dataclass
import hashlib
import json
from pathlib import Path
from typing import Any

from derain_ros.errors import EngineError


class CacheError(EngineError):
    """The cache cannot be used; the message names what, the reason and the way out."""


@dataclass(frozen=True, kw_only=True)
class Key:
    """
    All that an engine depends on.

    :param graph: sha256 of the ONNX graph that TensorRT parses.
    :param flavour: ``tensorrt`` or ``tensorrt_rtx``.
    :param flags: what the builder was told beside the graph.
    """

    graph: str
    flavour: str
    version: str
    gpu: str
    compute_capability: str
    precision: str
    order: str
    batch: int
    height: int
    width: int
    flags: str

    @property
    def stem(self) -> str:
        """The file name, without its ending."""
        digest = hashlib.sha256(json.dumps(vars(self), sort_keys=True).encode()).hexdigest()
        return (
            f'{self.width}x{self.height}-batch{self.batch}-{self.order}-{self.precision}'
            f'-{digest[:16]}'
        )

    def differences(self, other: 'Key') -> list[str]:
        """Return in what another key differs from this one, in words."""
        return [
            name if name == 'graph' else f'{name} {value} became {getattr(other, name)}'
            for name, value in vars(self).items()
            if value != getattr(other, name)
        ]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """
    What is known of a built engine.

    :param model: the name it was asked for by.
    :param convolutions: how many convolutions run in which precision, read from the engine.
    :param seconds: what the build took.
    """

    model: str
    convolutions: dict[str, int]
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An engine in the cache: ``plan`` is what TensorRT deserialises."""

    path: Path
    key: Key
    facts: Facts
    plan: bytes


def read_entry(path: Path) -> Entry:
    """
    Read an engine and the JSON file beside it.

    :raises CacheError: a file is missing or damaged, or the two do not belong together.
    """
    try:
        plan = path.read_bytes()
        sidecar = json.loads(path.with_suffix('.json').read_text())
        key, facts = Key(**sidecar['key']), Facts(**sidecar['facts'])
        checksum = sidecar['sha256']
        _check_types(key, facts)
    except FileNotFoundError as error:
        raise CacheError(f'{Path(error.filename).name} is missing') from error
    except OSError as error:
        raise CacheError(
            f'{Path(error.filename or path).name} cannot be read ({error.strerror})'
        ) from error
    # a RecursionError is what very deep JSON raises
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise CacheError(f'{path.stem}.json does not describe an engine ({error})') from error
    if hashlib.sha256(plan).hexdigest() != checksum:
        raise CacheError(f'{path.name} is damaged, it has not the checksum noted beside it')
    if key.stem != path.stem:
        raise CacheError(f'{path.name} is foreign, it was built as {key.stem}')
    return Entry(path=path, key=key, facts=facts, plan=plan)


def _check_types(key: Key, facts: Facts) -> None:
    """Raise TypeError where a file holds something else than was written to it."""
    numbers = ('batch', 'height', 'width')
    expected: list[tuple[Any, type | tuple[type, ...]]] = [
        (value, int if name in numbers else str) for name, value in vars(key).items()
    ]
    expected += [(facts.model, str), (facts.convolutions, dict), (facts.seconds, (int, float))]
    for value, kind in expected:
        if not isinstance(value, kind):
            raise TypeError(f'{value!r} is of a wrong type')
    if not all(isinstance(count, int) for count in facts.convolutions.values()):
        raise TypeError('convolutions are not counts')
