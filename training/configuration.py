"""Experiments: one YAML file each, every key checked before anything starts."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, MISSING
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints, Literal

import yaml

from derain_ros.model.network import Shape, SHAPES
from training.loop.losses import SUPERVISED

# the least that the network takes; the window of SSIM fits into it too
SMALLEST_CROP = 16


class ConfigError(ValueError):
    """An experiment that cannot run; the message names the key, the reason and the way out."""


@dataclass(frozen=True, kw_only=True)
class Bag:
    """
    A recording of real rain.

    :param path: ROS 1 bag, rosbag2 folder, or a storage file of one; relative to --data.
    :param topics: image topics to take; none: all of them.
    :param start, stop: seconds since the first image; without stop to the end.
    """

    path: str
    topics: list[str] = field(default_factory=list)
    start: float = 0.0
    stop: float | None = None


@dataclass(frozen=True, kw_only=True)
class Real:
    """
    Unlabelled real rain.

    :param bags: to train on.
    :param validation_bags: only to look at; frames of one bag are too much alike to be split.
    :param folders: of photographs, relative to --data.
    :param crops_per_frame: so many crops share the cost of decoding one frame.
    """

    bags: list[Bag] = field(default_factory=list)
    validation_bags: list[Bag] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    crops_per_frame: int = 4


@dataclass(frozen=True, kw_only=True)
class Config:
    """One experiment; the shipped files explain the keys. A shape goes by name, or key by key."""

    shape: Shape
    seed: int
    steps: int
    batch: int
    crop: int
    learning_rate: float
    schedule: Literal['constant', 'cosine']
    weight_decay: float
    loss: str
    matching: float
    ema: float
    clip: float
    precision: Literal['float32', 'bf16', 'fp16']
    workers: int
    validate_every: int
    checkpoint_every: int
    validation: list[int]
    pairs: dict[str, float]
    start: str | None = None
    optimizer: Literal['adam', 'muon'] = 'adam'
    warm_up: int = 0
    normalise_matching: bool = False
    crops_per_image: int | None = None
    flips: bool = True
    clean: list[str] = field(default_factory=list)
    synthetic: float = 0.0
    layers: float = 0.0
    identity: float = 0.0
    sensor: float = 0.5
    real: Real = field(default_factory=Real)


def read_config(path: Path) -> Config:
    """
    Read an experiment.

    :raises ConfigError: the file cannot be read; a key is unknown or missing, or its value of
        another type or out of range.
    """
    return make_config(read_yaml(path), str(path))


def read_yaml(path: Path) -> object:
    """
    Read a YAML file.

    :raises ConfigError: it cannot be read.
    """
    try:
        return yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f'{path}: not a readable YAML file ({error})') from error


def make_config(values: object, where: str) -> Config:
    """
    Check the keys and values of an experiment; raises as ``read_config`` does.

    :param where: they come from, for the message.
    """
    config = build(Config, values, where)
    for problem in _problems(config):
        raise ConfigError(f'{where}: {problem}')
    return config


def _problems(config: Config) -> list[str]:
    shape = config.shape
    if min(shape.channels, shape.units, shape.scales, shape.unshuffle) < 1:
        # alone, because without it there is no multiple of it either
        return ['shape: channels, units, scales and unshuffle must be at least 1']
    terms = config.loss.split('+')
    multiple = shape.multiple
    checks = _ranges(config) | {
        f"loss '{config.loss}' is unknown; join some of {', '.join(SUPERVISED)} with +": all(
            term in SUPERVISED for term in terms
        ),
        f'crop {config.crop} must be a multiple of {multiple}, at least {SMALLEST_CROP}': config.crop
        % multiple
        == 0
        and config.crop >= SMALLEST_CROP,
        f'validation {config.validation} must be two numbers, the first and the last': len(
            config.validation
        )
        == 2
        and config.validation[0] <= config.validation[1],
        'no source of crops: give pairs, or clean images and a share for them': sum(
            config.pairs.values()
        )
        + config.synthetic
        + config.layers
        + config.identity
        > 0,
        'synthetic and identity take their backgrounds from clean, which is empty': bool(
            config.clean
        )
        or config.synthetic + config.identity == 0,
        'layers are taken from pairs, which are empty': bool(config.pairs) or config.layers == 0,
        f'matching {config.matching} needs real rain; give real bags or folders, or set it to 0': config.matching
        == 0
        or bool(config.real.bags or config.real.folders),
        'real: a bag is in both bags and validation_bags; frames of one bag are too much alike': not (
            {bag.path for bag in config.real.bags}
            & {bag.path for bag in config.real.validation_bags}
        ),
    }
    checks['batch must be a multiple of real.crops_per_frame, which must be above 0'] = (
        config.real.crops_per_frame > 0
        and (config.matching == 0 or config.batch % config.real.crops_per_frame == 0)
    )
    return [problem for problem, holds in checks.items() if not holds]


def _ranges(config: Config) -> dict[str, bool]:
    positive = ('steps', 'batch', 'learning_rate', 'clip', 'validate_every', 'checkpoint_every')
    least_0 = (
        'seed',
        'workers',
        'warm_up',
        'weight_decay',
        'matching',
        'synthetic',
        'layers',
        'identity',
    )
    shares = ('ema', 'sensor')
    return (
        {f'{name} must be above 0': getattr(config, name) > 0 for name in positive}
        | {f'{name} must not be negative': getattr(config, name) >= 0 for name in least_0}
        | {f'{name} must be between 0 and 1': 0 <= getattr(config, name) <= 1 for name in shares}
        | {
            f'pairs: the share of {name} must not be negative': share >= 0
            for name, share in config.pairs.items()
        }
        | {
            'crops_per_image must be above 0': (
                config.crops_per_image is None or config.crops_per_image > 0
            )
        }
    )


def build(kind: type, values: object, where: str) -> Any:
    """
    Make a dataclass of a mapping, and of what is nested in it.

    :raises ConfigError: a key is unknown or missing, or its value of another type.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f'{where}: must be a mapping of keys to values')
    hints = get_type_hints(kind)
    for key in values:
        if key not in hints:
            near = get_close_matches(str(key), hints, n=1, cutoff=0.0)
            raise ConfigError(f"{where}: unknown key '{key}'; did you mean '{near[0]}'?")
    missing = [
        item.name
        for item in fields(kind)
        if item.name not in values and item.default is MISSING and item.default_factory is MISSING
    ]
    if missing:
        raise ConfigError(f'{where}: missing key: {", ".join(missing)}')
    return kind(
        **{key: _value(hints[key], value, f"{where}: '{key}'") for key, value in values.items()}
    )


def _value(kind: Any, value: object, where: str) -> Any:
    """Check a value against its type hint; whole numbers pass for float."""
    if kind is Shape and isinstance(value, str):
        if value not in SHAPES:
            raise ConfigError(
                f"{where}: '{value}' is unknown; known are {', '.join(SHAPES)}, or "
                'say channels, units, scales and unshuffle'
            )
        return SHAPES[value]
    if is_dataclass(kind):
        return build(kind, value, where)
    arguments = get_args(kind)
    if get_origin(kind) is Literal:
        matches = value in arguments
    elif get_origin(kind) is list and isinstance(value, list):
        return [_value(arguments[0], item, where) for item in value]
    elif get_origin(kind) is dict and isinstance(value, dict):
        return {
            _value(arguments[0], key, where): _value(arguments[1], item, where)
            for key, item in value.items()
        }
    elif type(None) in arguments:
        return None if value is None else _value(arguments[0], value, where)
    elif kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    else:
        # True counts as a number in Python, but not in an experiment
        matches = isinstance(value, get_origin(kind) or kind) and isinstance(value, bool) == (
            kind is bool
        )
    if not matches:
        expected = getattr(kind, '__name__', str(kind)) if not arguments else str(kind)
        if isinstance(value, str) and kind is float:
            expected += ' (YAML reads 1e-3 as text; write 1.0e-3)'
        raise ConfigError(f'{where} is {value!r}, not {expected.replace("typing.", "")}')
    return value
