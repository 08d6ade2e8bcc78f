"""The public sets as they are unpacked: what is a pair, and which half is the rainy one."""

from pathlib import Path

from helpers.training import experiment
import numpy as np
from PIL import Image
import pytest
import yaml

from derain_ros.errors import DataError
from training.configuration import read_config
from training.data.dataset import read_data
from training.data.pairs import Pair, read_pairs

RNG = np.random.default_rng(0)
CLEAN = np.kron(RNG.integers(20, 200, (4, 4, 3)), np.ones((8, 8, 1))).astype(np.uint8)


def rainy(index: int = 1) -> np.ndarray:
    """Return the clean image under streaks, other ones for each index."""
    streaks = np.random.default_rng(index).random((32, 32, 1)) < 0.1
    return CLEAN + streaks * np.uint8(50)


def write(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


def write_set(folder: Path, rainy_name: str, clean_name: str, *extra: str) -> Path:
    """Write scenes 1 and 2 under names with their number, and files that are no pair."""
    for index in (1, 2):
        write(folder / rainy_name.format(index), rainy(index))
        write(folder / clean_name.format(index), CLEAN)
        for name in extra:
            write(folder / name.format(index), rainy(index) - CLEAN)
    return folder


def assert_rain_added(pairs: list[Pair]) -> None:
    assert [pair.number for pair in pairs] == [1, 2]
    for pair in pairs:
        np.testing.assert_array_equal(pair.clean, CLEAN)
        np.testing.assert_array_equal(pair.rainy, rainy(pair.number))


@pytest.mark.parametrize(
    ('rainy_name', 'clean_name'),
    [
        ('rain/norain-{:03}x2.png', 'norain/norain-{:03}.png'),
        ('rain/X2/norain-{:03}x2.png', 'norain/norain-{:03}.png'),
        ('rain/rain-{:03}.png', 'norain/norain-{:03}.png'),
        ('rain-{}x2.png', 'norain-{}x2.png'),
        ('rain/{}.png', 'gt/{}.png'),
        ('Rain/{}.png', 'GT/{}.png'),
        ('input/{}.png', 'gt/{}.png'),
        ('rainy/{}.png', 'ground_truth/{}.png'),
        ('rainy_image/{}_1.png', 'ground_truth/{}.png'),
    ],
)
def test_public_sets_are_read_as_they_are(
    rainy_name: str, clean_name: str, tmp_path: Path
) -> None:
    assert_rain_added(read_pairs(write_set(tmp_path, rainy_name, clean_name)))


@pytest.mark.parametrize('folder', ['', 'rain/'])
def test_layers_and_regions_of_rain_are_left_out_with_a_word(folder: str, tmp_path: Path) -> None:
    clean = 'norain/norain-{}.png' if folder else 'norain-{}.png'
    extra = f'{folder}rainstreak-{{}}.png', f'{folder}rainregion-{{}}.png'
    write_set(tmp_path, f'{folder}rain-{{}}.png', clean, *extra)

    with pytest.warns(UserWarning, match=r'4 files such as rainregion-1\.png are no part of a '):
        assert_rain_added(read_pairs(tmp_path))


@pytest.mark.parametrize(
    ('rainy_name', 'scene'),
    [('{scene}_{index}', '{}'), ('im_{scene:04}_s80_a0{index}', 'im_{:04}')],
)
def test_several_rainy_images_of_one_scene_are_as_many_pairs(
    rainy_name: str, scene: str, tmp_path: Path
) -> None:
    for number in (1, 2):
        write(tmp_path / 'ground_truth' / f'{scene.format(number)}.png', CLEAN + np.uint8(number))
        for index in (1, 2, 3):
            name = rainy_name.format(scene=number, index=index)
            write(tmp_path / 'rainy_image' / f'{name}.png', rainy(index))

    pairs = read_pairs(tmp_path)

    # numbered by scene, so that validation holds out all of its images
    assert [pair.number for pair in pairs] == [1, 1, 1, 2, 2, 2]
    assert len({pair.name for pair in pairs}) == 6
    for pair in pairs:
        np.testing.assert_array_equal(pair.clean, CLEAN + np.uint8(pair.number))


def test_one_partner_too_few_is_no_set_of_several_images_a_scene(tmp_path: Path) -> None:
    write_set(tmp_path, 'rainy/1_{}.png', 'clean/1_{}.png')
    write(tmp_path / 'rainy/1_3.png', rainy())
    write(tmp_path / 'clean/1.png', CLEAN)

    with pytest.raises(DataError, match=r'clean/1\.png: has no partner \(2 such in '):
        read_pairs(tmp_path)


@pytest.mark.parametrize(
    ('names', 'message'),
    [
        (['train/rainy/1.png', 'train/clean/1.png'], 'holds no pairs; accepted are: rainy/ or '),
        (['input/1.png', '1.png'], 'has input/ alone; accepted are: rainy/ or '),
        (['rain/a.png', 'gt/b.png'], r'has no partner \(2 such in .*; accepted are: rainy/ or '),
        (['rain/1.png', 'input/1.png', 'gt/1.png'], 'which of input, rain belongs to the pairs'),
        (['rain-1.png'], 'has no partner .*; accepted are: rainy/ or '),
    ],
)
def test_what_is_not_clear_is_refused_with_the_layouts(
    names: list[str], message: str, tmp_path: Path
) -> None:
    for name in names:
        write(tmp_path / name, CLEAN)

    with pytest.raises(DataError, match=message):
        read_pairs(tmp_path)


def side_by_side(folder: Path, *, rain_left: bool) -> Path:
    for index in (1, 2):
        halves = [rainy(index), CLEAN] if rain_left else [CLEAN, rainy(index)]
        write(folder / f'{index}.png', np.hstack(halves))
    return folder


def test_swapped_pairs_are_refused_and_read_on_request(tmp_path: Path) -> None:
    sets = (
        side_by_side(tmp_path / 'halves', rain_left=True),
        write_set(tmp_path / 'folders', 'clean/{}.png', 'rainy/{}.png'),
        write_set(tmp_path / 'files', 'norain-{}.png', 'rain-{}.png'),
    )
    for folder in sets:
        with pytest.raises(DataError, match=r'darker than the clean ones, by .* swapped: true'):
            read_pairs(folder)
        assert_rain_added(read_pairs(folder, swapped=True))
    assert_rain_added(read_pairs(side_by_side(tmp_path / 'right', rain_left=False)))


def test_pairs_that_are_darker_for_another_reason_can_be_read(tmp_path: Path) -> None:
    folder = write_set(tmp_path, 'clean/{}.png', 'rainy/{}.png')

    for pair in read_pairs(folder, swapped=False):
        np.testing.assert_array_equal(pair.rainy, CLEAN)


def test_an_experiment_says_which_of_its_sets_are_swapped(tmp_path: Path) -> None:
    side_by_side(tmp_path / 'left', rain_left=True)
    side_by_side(tmp_path / 'right', rain_left=False)
    only_pairs = {'clean': [], 'synthetic': 0.0, 'layers': 0.0, 'identity': 0.0, 'matching': 0.0}
    path = experiment(
        tmp_path,
        pairs={'left': {'share': 0.3, 'swapped': True}, 'right': 0.7},
        **only_pairs,
    )

    sources = read_data(read_config(path), tmp_path).sources

    assert [share for share, _ in sources] == [0.3, 0.7]
    for _, source in sources:
        assert_rain_added(source.pairs)
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {'pairs': {'left': 1.0}}))
    with pytest.raises(DataError, match=r'left: .* write left: \{share: \.\.\., swapped: true\}'):
        read_data(read_config(path), tmp_path)
