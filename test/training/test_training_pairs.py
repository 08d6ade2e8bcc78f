"""Pairs of every layout; what is wrong with a folder is named before training starts."""

from pathlib import Path

import cv2
from helpers.data import data_folder
import numpy as np
from PIL import Image
import pytest

from derain_ros.errors import DataError
from derain_ros.media.videos import read_images
from training.data.pairs import read_pairs

CLEAN = np.tile(np.arange(0, 240, 10, dtype=np.uint8)[:, None, None], (1, 32, 3))
RAINY = np.clip(CLEAN + 9, 0, 255).astype(np.uint8)


def write(path: Path, image: np.ndarray, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, **options)


def layout(folder: Path, name: str, suffix: str = 'png', **options: object) -> Path:
    """Write two pairs, 3 and 12, in one of the layouts."""
    for index in (3, 12):
        if name == 'side by side':
            write(folder / f'{index}.{suffix}', np.hstack([CLEAN, RAINY]), **options)
            continue
        rainy, clean = {
            'rainy + clean': ('rainy/rain-{}', 'clean/norain-{}'),
            'input + target': ('input/{}', 'target/{}'),
            'one folder': ('rain-{}', 'norain-{}'),
        }[name]
        write(folder / f'{rainy.format(index)}.{suffix}', RAINY, **options)
        write(folder / f'{clean.format(index)}.{suffix}', CLEAN, **options)
    return folder


@pytest.mark.parametrize('name', ['rainy + clean', 'input + target', 'one folder', 'side by side'])
def test_every_layout_gives_the_same_pairs(tmp_path: Path, name: str) -> None:
    pairs = read_pairs(layout(tmp_path, name))

    assert sorted(pair.number for pair in pairs) == [3, 12]
    for pair in pairs:
        np.testing.assert_array_equal(pair.rainy, RAINY)
        np.testing.assert_array_equal(pair.clean, CLEAN)


@pytest.mark.parametrize(
    ('suffix', 'options'), [('webp', {'lossless': True}), ('jpg', {'quality': 100}), ('png', {})]
)
def test_formats(tmp_path: Path, suffix: str, options: dict) -> None:
    pair = read_pairs(layout(tmp_path, 'rainy + clean', suffix, **options))[0]

    assert np.abs(pair.rainy.astype(int) - RAINY).max() <= 2


def test_partners_may_be_of_different_formats(tmp_path: Path) -> None:
    write(tmp_path / 'rainy' / 'rain-001.webp', RAINY, lossless=True)
    write(tmp_path / 'clean' / 'norain-001.jpg', CLEAN)

    assert read_pairs(tmp_path)[0].number == 1


def test_two_images_of_one_name_are_named(tmp_path: Path) -> None:
    clean = layout(tmp_path, 'rainy + clean') / 'clean'
    write(clean / 'norain-12.jpg', CLEAN)

    with pytest.raises(DataError, match=r'norain-12\.png: norain-12\.jpg has the same name but '):
        read_pairs(tmp_path)


def test_missing_partner_is_named(tmp_path: Path) -> None:
    (layout(tmp_path, 'rainy + clean') / 'clean' / 'norain-12.png').unlink()

    with pytest.raises(DataError, match=r'rain-12\.png: has no partner .*; add the partner'):
        read_pairs(tmp_path)


def test_partner_of_another_size_is_named(tmp_path: Path) -> None:
    write(layout(tmp_path, 'one folder') / 'norain-3.png', CLEAN[:20])

    with pytest.raises(DataError, match=r'rain-3\.png: 32x24, but its clean partner is 32x20'):
        read_pairs(tmp_path)


@pytest.mark.parametrize('suffix', ['png', 'jpg', 'webp'])
def test_truncated_image_is_named(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    write(layout(tmp_path, 'input + target', suffix) / 'input' / f'3.{suffix}', noise)
    path = tmp_path / 'input' / f'3.{suffix}'
    path.write_bytes(path.read_bytes()[:-1000])

    with pytest.raises(DataError, match=rf'3\.{suffix}: not a readable image .*fetch it again'):
        read_pairs(tmp_path)


def test_folder_of_plain_images_is_no_folder_of_pairs(tmp_path: Path) -> None:
    write(tmp_path / 'holiday.png', CLEAN[:, :31])

    with pytest.raises(DataError, match=r'31 pixels wide.*accepted are: rainy/ or '):
        read_pairs(tmp_path)


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match='nowhere: no such folder'):
        read_pairs(tmp_path / 'nowhere')
    (tmp_path / 'drive.webm').touch()
    with pytest.raises(
        DataError, match=r'drive\.webm: neither a folder nor an image nor a video \(\.avi, '
    ):
        read_images(tmp_path / 'drive.webm')
    (tmp_path / 'drive.mp4').touch()
    with pytest.raises(DataError, match=r'drive\.mp4: is a video, where a folder of images is '):
        read_pairs(tmp_path / 'drive.mp4')


def test_clean_video_gives_a_frame_per_second(tmp_path: Path) -> None:
    path = tmp_path / 'drive.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 5, (64, 48))
    for shade in range(0, 150, 10):
        writer.write(np.full((48, 64, 3), shade, np.uint8))
    writer.release()

    shades = [round(float(frame.mean())) for frame in read_images(path)]

    assert shades == pytest.approx([0, 50, 100], abs=3)


def test_published_set_is_read() -> None:
    pairs = read_pairs(data_folder('rain_light'))

    assert [pair.number for pair in pairs] == list(range(1, 201))


def test_images_are_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright; its first row is the right column
    ramp = np.tile(np.arange(0, 240, 10, dtype=np.uint8)[:, None, None], (1, 32, 3))
    Image.fromarray(ramp).save(tmp_path / 'tall.png', exif=exif)

    np.testing.assert_array_equal(read_images(tmp_path)[0], np.rot90(ramp, -1))
