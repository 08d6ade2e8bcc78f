"""
What an experiment trains on and is validated with, read and checked before it starts.

What reads bags and videos is imported where there are some: a GPU machine may have neither.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import ConcatDataset

from derain_ros.errors import DataError
from derain_ros.media.images import image_files
from training.configuration import Bag, Config
from training.data.batches import Frames
from training.data.pairs import Pair, read_images, read_pairs
from training.data.photographs import Photographs
from training.data.scene_sources import DrizzleSource, IdentitySource
from training.data.sources import LayerSource, PairSource, Source, SyntheticSource
from training.data.still_sources import MedianPairSource, StillLayerSource


@dataclass(frozen=True)
class Data:
    """
    All that one experiment reads.

    :param sources: of rainy/clean crops, with their shares.
    :param real: unlabelled real rain; None where it is not used.
    :param validation: pairs that are never trained on, by set.
    :param pictures: rainy frames without truth, to look at.
    """

    sources: list[tuple[float, Source]]
    real: Frames | None
    validation: dict[str, list[Pair]]
    pictures: dict[str, np.ndarray]


def read_data(config: Config, root: Path) -> Data:
    """
    Read every pair and clean image into memory, and index the real rain.

    :param root: what the paths in the experiment are relative to.
    :raises DataError: something is missing, broken, without a partner, or smaller than a crop.
    """
    held_out = range(config.validation[0], config.validation[1] + 1)
    training, validation = _read_pairs(config, root, held_out)
    clean = []
    for name in config.clean:
        images = _read_images(root / name)
        _check_sizes(root / name, images, config.crop)
        clean += images
    sources = _sources(config, root, training, clean)
    real = _real(config, root, held_out)
    pictures = {
        f'{bag.path} {"+".join(bag.topics)} from {bag.start:g} s': _bag_frames(
            bag, root, config.crop
        )[0]
        for bag in config.real.validation_bags
    }
    return Data(sources, real, validation, pictures)


def _read_pairs(
    config: Config, root: Path, held_out: range
) -> tuple[dict[str, list[Pair]], dict[str, list[Pair]]]:
    """Return the pairs to train on, and those to validate with, by set."""
    training, validation = {}, {}
    for name, pair_set in config.pairs.items():
        pairs = read_pairs(root / name, pair_set.swapped)
        training[name] = [pair for pair in pairs if pair.number not in held_out]
        if not training[name]:
            raise DataError(
                f'{root / name}: all its pairs are held out for validation; '
                'name fewer under validation'
            )
        _check_sizes(root / name, (pair.clean for pair in training[name]), config.crop)
        if len(training[name]) < len(pairs):
            validation[name] = [pair for pair in pairs if pair.number in held_out]
    return training, validation


def _sources(
    config: Config, root: Path, training: dict[str, list[Pair]], clean: list[np.ndarray]
) -> list[tuple[float, Source]]:
    """Return the sources that have a share of the crops."""
    sources: list[tuple[float, Source]] = [
        (pair_set.share, PairSource(training[name], config.crops_per_image))
        for name, pair_set in config.pairs.items()
    ]
    pairs = [pair for name in config.pairs for pair in training[name]]
    backgrounds = clean + [pair.clean for pair in pairs]
    sources += [
        (config.synthetic, SyntheticSource(clean, config.sensor)),
        (config.layers, LayerSource(backgrounds, pairs, config.sensor)),
        (config.identity, IdentitySource(clean, config.sensor)),
        (config.drizzle, DrizzleSource(backgrounds, config.sensor)),
        *_still_sources(config, root, backgrounds),
    ]
    return [(share, source) for share, source in sources if share > 0]


def _still_sources(
    config: Config, root: Path, backgrounds: list[np.ndarray]
) -> list[tuple[float, Source]]:
    if config.still_layers + config.still_pairs == 0:
        return []
    from training.data.recordings import read_stills

    stills = [still for recording in config.real.still for still in read_stills(recording, root)]
    for still in stills:
        _check_sizes(Path(still.name), [still.median], config.crop)
    return [
        (config.still_layers, StillLayerSource(backgrounds, stills, config.sensor)),
        (config.still_pairs, MedianPairSource(stills)),
    ]


def _real(config: Config, root: Path, held_out: range) -> Frames | None:
    if config.matching + config.teacher == 0:
        return None
    frames: list[Any] = [
        Photographs(root / name, config.crop, held_out) for name in config.real.folders
    ]
    frames += [_bag_frames(bag, root, config.crop) for bag in config.real.bags]
    return ConcatDataset(frames)


def _bag_frames(bag: Bag, root: Path, smallest: int) -> Frames:
    from training.data.bags import BagFrames

    return BagFrames(bag, root, smallest)


def _read_images(path: Path) -> list[np.ndarray]:
    if path.is_dir():
        return read_images(image_files(path))
    from derain_ros.media import videos

    return videos.read_images(path)


def _check_sizes(path: Path, images: Iterable[np.ndarray], crop: int) -> None:
    for image in images:
        if min(image.shape[:2]) < crop:
            raise DataError(
                f'{path}: has an image of {image.shape[1]}x{image.shape[0]}, smaller '
                f'than the crop of {crop}; take it out, or train on smaller crops'
            )
