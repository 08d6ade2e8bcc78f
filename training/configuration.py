"""Experiments: one YAML file each, every key checked before anything starts."""

from collections.abc import Iterator
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

from derain_ros.model.network import Shape, SHAPES
from training.yaml_files import parse, read_yaml

# the least that the network takes; the window of SSIM fits into it too
SMALLEST_CROP_PX = 16
LOSSES = ('ssim', 'l1', 'charbonnier', 'psnr')

STRICT_KEYS = ConfigDict(extra='forbid', allow_inf_nan=False)
# strict: neither true nor '1' is a number, and neither 1 nor 'yes' is true
Flag = Annotated[bool, Field(strict=True)]
Number = Annotated[float, Field(strict=True)]
Positive = Annotated[float, Field(strict=True, gt=0)]
NotNegative = Annotated[float, Field(strict=True, ge=0)]
Share = Annotated[float, Field(strict=True, ge=0, le=1)]
Integer = Annotated[int, Field(strict=True)]
Count = Annotated[int, Field(strict=True, ge=1)]
Natural = Annotated[int, Field(strict=True, ge=0)]


@dataclass(frozen=True, kw_only=True, config=STRICT_KEYS)
class PairSet:
    """
    A folder of rainy/clean pairs.

    :param share: of the crops that are cut from it.
    :param swapped: True: the images in the place of the rainy ones are the clean ones; False:
        they are not, even where they are darker; None: darker ones are refused.
    """

    share: NotNegative
    swapped: Flag | None = None


@dataclass(frozen=True, kw_only=True, config=STRICT_KEYS)
class Bag:
    """
    A recording of real rain.

    :param path: ROS 1 bag, rosbag2 folder, or a storage file of one; relative to --data.
    :param topics: image topics to take; none: all of them.
    :param start, stop: seconds since the first image; without stop to the end.
    """

    path: str
    topics: list[str] = field(default_factory=list)
    start: Number = 0.0
    stop: Number | None = None


@dataclass(frozen=True, kw_only=True, config=STRICT_KEYS)
class StillRecording(Bag):
    """
    A video or a bag; the stretches in which the camera stands still are found by themselves.

    :param reject: numbers, as find_stills.py shows them, of what is no good: a moving crowd.
    """

    reject: list[Natural] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, config=STRICT_KEYS)
class Real:
    """
    Unlabelled real rain.

    :param bags: to train on.
    :param validation_bags: only to look at; frames of one bag are too much alike to be split.
    :param folders: of photographs, relative to --data.
    :param still: recordings for ``still_layers`` and ``still_pairs``.
    :param crops_per_frame: so many crops share the cost of decoding one frame.
    """

    bags: list[Bag] = field(default_factory=list)
    validation_bags: list[Bag] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    still: list[StillRecording] = field(default_factory=list)
    crops_per_frame: Count = 4


def _shape_by_name(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value not in SHAPES:
        raise ValueError(
            f"'{value}' is unknown; known are {', '.join(SHAPES)}, or say channels, units, "
            'scales and unshuffle'
        )
    return SHAPES[value]


def _possible_shape(shape: Shape) -> Shape:
    if min(shape.channels, shape.units, shape.scales, shape.unshuffle) < 1:
        raise ValueError('channels, units, scales and unshuffle must be at least 1')
    return shape


def _known_losses(loss: str) -> str:
    if not set(loss.split('+')) <= set(LOSSES):
        raise ValueError(f"'{loss}' is unknown; join some of {', '.join(LOSSES)} with +")
    return loss


def _with_share(value: Any) -> Any:
    return value if isinstance(value, (dict, PairSet)) else {'share': value}


@dataclass(frozen=True, kw_only=True, config=STRICT_KEYS)
class Config:
    """One experiment; the shipped files explain the keys. A shape goes by name, or key by key."""

    shape: Annotated[Shape, BeforeValidator(_shape_by_name), AfterValidator(_possible_shape)]
    seed: Natural
    steps: Count
    batch: Count
    crop: Integer
    learning_rate: Positive
    schedule: Literal['constant', 'cosine']
    weight_decay: NotNegative
    loss: Annotated[str, AfterValidator(_known_losses)]
    matching: NotNegative
    ema: Share
    clip: Positive
    precision: Literal['float32', 'bf16', 'fp16']
    workers: Natural
    validate_every: Count
    checkpoint_every: Count
    validation: list[Integer]
    pairs: dict[str, Annotated[PairSet, BeforeValidator(_with_share)]]
    start: str | None = None
    optimizer: Literal['adam', 'muon'] = 'adam'
    warm_up: Natural = 0
    normalise_matching: Flag = False
    teacher: Share = 0.0
    crops_per_image: Count | None = None
    flips: Flag = True
    clean: list[str] = field(default_factory=list)
    synthetic: NotNegative = 0.0
    layers: NotNegative = 0.0
    identity: NotNegative = 0.0
    drizzle: NotNegative = 0.0
    still_layers: NotNegative = 0.0
    still_pairs: NotNegative = 0.0
    sensor: Share = 0.5
    real: Real = field(default_factory=Real)

    @model_validator(mode='after')
    def _keys_go_together(self) -> 'Config':
        for problem in self._problems():
            raise ValueError(problem)
        return self

    def _problems(self) -> Iterator[str]:
        multiple = self.shape.multiple
        if self.crop % multiple or self.crop < SMALLEST_CROP_PX:
            yield (
                f'crop {self.crop} must be a multiple of {multiple}, at least {SMALLEST_CROP_PX}'
            )
        if len(self.validation) != 2 or self.validation[0] > self.validation[1]:
            yield f'validation {self.validation} must be two numbers, the first and the last'
        on_clean = self.synthetic + self.identity
        of_still = self.still_layers + self.still_pairs
        shares = [pairs.share for pairs in self.pairs.values()]
        if sum(shares) + on_clean + self.layers + self.drizzle + of_still == 0:
            yield 'no source of crops: give pairs, or clean images and a share for them'
        if on_clean > 0 and not self.clean:
            yield 'synthetic and identity take their backgrounds from clean, which is empty'
        if self.layers > 0 and not self.pairs:
            yield 'layers are taken from pairs, which are empty'
        if self.drizzle + self.still_layers > 0 and not (self.clean or self.pairs):
            yield 'drizzle and still_layers fall on the images of clean and pairs, both empty'
        if of_still > 0 and not self.real.still:
            yield 'still_layers and still_pairs are taken from real.still, which is empty'
        for name, weight in (('matching', self.matching), ('teacher', self.teacher)):
            if weight > 0 and not (self.real.bags or self.real.folders):
                yield (
                    f'{name} {weight} needs real rain; give real bags or folders, or set it to 0'
                )
        if self.matching + self.teacher > 0 and self.batch % self.real.crops_per_frame:
            yield 'batch must be a multiple of real.crops_per_frame'
        if self.teacher > 0 and self.start is None:
            yield 'teacher has to know something; name trained weights in start'
        validation_paths = {bag.path for bag in self.real.validation_bags}
        if validation_paths & {bag.path for bag in self.real.bags}:
            yield (
                'real: a bag is in both bags and validation_bags; frames of one bag are too '
                'much alike'
            )


def read_config(path: Path) -> Config:
    """
    Read an experiment.

    :raises ConfigError: the file cannot be read; a key is unknown or missing, or its value of
        another type or out of range.
    """
    return make_config(read_yaml(path), str(path))


def make_config(values: object, where: str) -> Config:
    """
    Check the keys and values of an experiment.

    :param where: they come from, for the message.
    :raises ConfigError: as ``read_config`` does.
    """
    return parse(Config, values, where)
