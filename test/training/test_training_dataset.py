"""What an experiment says of its data is what is trained on, and what is held out is not."""

from pathlib import Path

from helpers.stills import rain_before, scene, write_video
from helpers.training import experiment
import numpy as np
import pytest

from derain_ros.errors import DataError
from training.configuration import read_config
from training.data.dataset import Data, read_data
from training.data.scene_sources import DrizzleSource, IdentitySource
from training.data.sources import LayerSource, PairSource, SyntheticSource
from training.data.still_sources import MedianPairSource, StillLayerSource
import training.train as training


def read(tmp_path: Path, data: Path, **changes: object) -> Data:
    return read_data(read_config(experiment(tmp_path, **changes)), data)


def test_every_source_gets_its_share_and_its_options(tmp_path: Path, data: Path) -> None:
    read_in = read(
        tmp_path,
        data,
        pairs={'pairs': 0.4},
        synthetic=0.3,
        layers=0.2,
        identity=0.1,
        crops_per_image=7,
        sensor=0.25,
    )

    shares = {type(source): share for share, source in read_in.sources}
    assert shares == {PairSource: 0.4, SyntheticSource: 0.3, LayerSource: 0.2, IdentitySource: 0.1}
    sources = {type(source): source for _, source in read_in.sources}
    assert sources.pop(PairSource).crops_per_image == 7
    assert [source.sensor for source in sources.values()] == [0.25] * 3
    assert [len(source.images) for source in sources.values()] == [6, 6 + 4, 6]


def test_rain_of_still_cameras_is_read_in(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    write_video(tmp_path / 'yard.mp4', rain_before(scene(), 60))
    still = {'path': str(tmp_path / 'yard.mp4')}

    read_in = read(
        tmp_path,
        data,
        pairs={},
        synthetic=0.0,
        layers=0.0,
        identity=0.0,
        matching=0.0,
        drizzle=0.5,
        still_layers=0.3,
        still_pairs=0.2,
        real={'still': [still]},
    )

    shares = {type(source): share for share, source in read_in.sources}
    assert shares == {DrizzleSource: 0.5, StillLayerSource: 0.3, MedianPairSource: 0.2}
    for _, source in read_in.sources:
        rainy, clean = source.crop(16, np.random.default_rng(0))
        assert rainy.shape == clean.shape == (16, 16, 3)


def test_still_cameras_are_not_searched_without_a_share(tmp_path: Path, data: Path) -> None:
    read(
        tmp_path,
        data,
        real={'folders': ['real'], 'still': [{'path': 'gone.mp4'}], 'crops_per_frame': 2},
    )


def test_what_has_no_share_is_no_source(tmp_path: Path, data: Path) -> None:
    sources = read(tmp_path, data, synthetic=0.0, layers=0.0, identity=0.0).sources

    assert [type(source) for _, source in sources] == [PairSource]


def test_nothing_that_is_held_out_is_trained_on(tmp_path: Path, data: Path) -> None:
    read_in = read(tmp_path, data)

    for _, source in read_in.sources:
        if isinstance(source, PairSource | LayerSource):
            assert [pair.number for pair in source.pairs] == [1, 2, 3, 4]
    assert [pair.number for pair in read_in.validation['pairs']] == [5, 6]
    assert len(read_in.real) == 4
    assert read(tmp_path, data, matching=0.0).real is None


def test_images_smaller_than_a_crop_are_named(tmp_path: Path, data: Path) -> None:
    with pytest.raises(DataError, match='pairs: has an image of 48x48, smaller than the crop of '):
        read(tmp_path, data, crop=64)
    with pytest.raises(DataError, match='clean: has an image of 48x48, smaller than the crop of '):
        read(tmp_path, data, crop=64, pairs={}, layers=0.0)


def test_the_experiment_says_how_crops_are_cut(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, object] = {}

    def recorded(*_: object, **options: object) -> None:
        asked.update(options)
        raise KeyboardInterrupt

    monkeypatch.setattr(training, 'Crops', recorded)
    with pytest.raises(KeyboardInterrupt):
        training.train(
            read_config(experiment(tmp_path, seed=7, flips=False)),
            data,
            tmp_path / 'out',
            resume=False,
        )

    assert asked == {
        'seed': 7,
        'batch': 4,
        'size': 16,
        'crops_per_frame': 2,
        'rank': 0,
        'flips': False,
    }
