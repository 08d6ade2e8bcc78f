"""Studies: one experiment, the arms that change it, and what their trainings are scored with."""

from dataclasses import dataclass, field, replace
from pathlib import Path
import re

from pydantic.dataclasses import dataclass as checked

from training.configuration import Config, make_config, StillRecording, STRICT_KEYS
from training.errors import ConfigError
from training.scores.gate import split_clip
from training.yaml_files import parse, read_yaml


@checked(frozen=True, kw_only=True, config=STRICT_KEYS)
class Study:
    """
    An ablation: one experiment, and what its arms change of it.

    :param arms: name to keys of the experiment and their other values.
    :param scores: name of a column to the folder of pairs that it scores.
    :param cameras: clips of cameras that stood still, PATH or PATH@FIRST. An arm that takes rain
        from stills is trained once for each, without the recording of that camera.
    :param dry: video that should stay as it is.
    """

    experiment: dict
    arms: dict[str, dict]
    scores: dict[str, str]
    seeds: list[int]
    cameras: list[str] = field(default_factory=list)
    dry: str | None = None


@dataclass(frozen=True)
class Training:
    """
    One training of an arm.

    :param config: with the seed, and without the recording of the camera that is left out.
    :param left_out: name of that camera; empty where the arm sees none of them.
    :param cameras: names of those to score.
    """

    arm: str
    config: Config
    left_out: str
    cameras: list[str]

    @property
    def folder(self) -> str:
        """The name of the folder of its run."""
        without = f'-without-{slug(self.left_out)}' if self.left_out else ''
        return f'{slug(self.arm)}-seed{self.config.seed}{without}'


def read_study(path: Path) -> tuple[Study, dict[str, Config]]:
    """
    Read a study, and the experiment that each of its arms is.

    :raises ConfigError: the file cannot be read, an arm is no experiment, or cameras cannot be
        told apart or left out.
    """
    study = parse(Study, read_yaml(path), str(path))
    if not study.seeds or min(study.seeds) < 0:
        raise ConfigError(f'{path}: seeds: {study.seeds}; name one or more, from 0 up')
    names = [split_clip(clip)[0].stem for clip in study.cameras]
    if len(set(names)) < len(names):
        raise ConfigError(f'{path}: cameras: two clips have one name; rename one of them')
    configs = {
        name: make_config(study.experiment | changes, f"{path}: arm '{name}'")
        for name, changes in study.arms.items()
    }
    for name, config in configs.items():
        if study.cameras and len(recordings(config)) == 1:
            raise ConfigError(
                f"{path}: arm '{name}': of one recording in real.still none can be left out; "
                'give more, or leave out cameras'
            )
    return study, configs


def trainings(study: Study, arm: str, config: Config, seed: int) -> list[Training]:
    """Return the trainings of an arm with a seed, each scored by cameras that it did not see."""
    config = replace(config, seed=seed)
    paths = {split_clip(clip)[0].stem: split_clip(clip)[0] for clip in study.cameras}
    if not (paths and recordings(config)):
        return [Training(arm, config, '', list(paths))]
    found = []
    for name, path in paths.items():
        others = [still for still in recordings(config) if Path(still.path) != path]
        left = replace(config, real=replace(config.real, still=others))
        found.append(Training(arm, left, name, [name]))
    return found


def recordings(config: Config) -> list[StillRecording]:
    """Return the recordings of still cameras that an experiment takes rain from."""
    return config.real.still if config.still_layers + config.still_pairs > 0 else []


def slug(arm: str) -> str:
    """Return the name of an arm as that of a folder."""
    return re.sub(r'[^a-z0-9]+', '-', arm.lower()).strip('-')
