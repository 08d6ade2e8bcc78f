"""De-raining of image files: whatever is not rain stays."""

from pathlib import Path

import cv2
from helpers.offline import darker, scene
import numpy as np
from PIL import Image, ImageCms
import pytest

from derain_ros.media.images import ORIENTATION, read_image
from derain_ros.offline.images import derain_images
from derain_ros.offline.job import Job
from derain_ros.offline.report import Outcome


def derain(source: Path, target: Path, **options: object) -> Outcome:
    (outcome,) = derain_images([(source, target)], Job(darker, **options))
    return outcome


def save(path: Path, image: np.ndarray, **options: object) -> Path:
    Image.fromarray(image).save(path, **options)
    return path


@pytest.mark.parametrize('suffix', ['.png', '.bmp', '.jpg', '.webp'])
def test_every_format_is_kept(suffix, tmp_path):
    source = save(tmp_path / f'rain{suffix}', scene(0))
    outcome = derain(source, tmp_path / f'out{suffix}')
    before, after = read_image(source), read_image(tmp_path / f'out{suffix}')
    assert np.abs(darker(before).astype(int) - after).mean() < 2.5
    assert Image.open(source).format == Image.open(tmp_path / f'out{suffix}').format
    assert (outcome.problems, outcome.frames) == ([], 1)
    if suffix in ('.png', '.bmp'):
        np.testing.assert_array_equal(darker(before), after)


@pytest.mark.parametrize('mode', ['L', 'LA', 'P', 'RGBA', '1'])
def test_grey_and_alpha_are_kept(mode, tmp_path):
    image = Image.fromarray(scene(0))
    image.putalpha(Image.fromarray(scene(1)[..., 0]))
    source = tmp_path / 'rain.png'
    image.convert('RGB' if mode == 'P' else 'RGBA').convert(mode).save(source)
    assert derain(source, tmp_path / 'out.png').problems == []
    before, after = Image.open(source), Image.open(tmp_path / 'out.png')
    assert after.mode == {'P': 'RGB', '1': 'L'}.get(mode, mode)
    expected = darker(np.asarray(before.convert('RGB')))
    assert np.abs(expected.astype(int) - np.asarray(after.convert('RGB'))).max() <= 1
    if 'A' in mode:
        np.testing.assert_array_equal(before.getchannel('A'), after.getchannel('A'))


@pytest.mark.parametrize('shape', [(48, 64), (48, 64, 3), (48, 64, 4)])
def test_16_bits_are_kept(shape, tmp_path):
    rng = np.random.default_rng(0)
    grey = scene(0)[..., 0].astype(np.uint16) * 257 + rng.integers(0, 257, (48, 64), np.uint16)
    samples = grey if len(shape) == 2 else np.dstack([grey] * shape[2])
    samples[0, :4] = 65535
    cv2.imwrite(str(tmp_path / 'rain.png'), samples)
    assert derain(tmp_path / 'rain.png', tmp_path / 'out.png').problems == []
    result = cv2.imread(str(tmp_path / 'out.png'), cv2.IMREAD_UNCHANGED)
    assert (result.dtype, result.shape) == (np.uint16, shape)
    expected = samples.copy()
    expected[..., : 3 if len(shape) == 3 else None] -= 5 * 257
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize('orientation', range(1, 9))
def test_the_network_sees_it_upright_and_exif_still_turns_it(orientation, tmp_path):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    source = save(tmp_path / 'rain.png', scene(0), exif=exif)
    seen = []

    def model(frame: np.ndarray) -> np.ndarray:
        seen.append(frame[..., ::-1])
        return darker(frame)

    list(derain_images([(source, tmp_path / 'out.png')], Job(model)))
    np.testing.assert_array_equal(seen[0], read_image(source))
    np.testing.assert_array_equal(read_image(tmp_path / 'out.png'), darker(read_image(source)))
    assert Image.open(tmp_path / 'out.png').getexif()[ORIENTATION] == orientation


@pytest.mark.parametrize('name', ['rain.jpg', 'rain.png', 'rain.webp'])
def test_exif_and_colour_profile_are_kept(name, tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
    exif = Image.Exif()
    exif[0x010F] = 'a camera'
    source = save(tmp_path / name, scene(0), exif=exif, icc_profile=profile)
    derain(source, tmp_path / f'out_{name}')
    with Image.open(source) as before, Image.open(tmp_path / f'out_{name}') as after:
        assert after.info['icc_profile'] == before.info['icc_profile'] == profile
        assert after.info['exif'] == before.info['exif']


def test_exif_and_colour_profile_of_16_bits_are_kept(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
    source = save(
        tmp_path / 'rain.png', scene(0)[..., 0].astype(np.uint16) * 257, icc_profile=profile
    )
    derain(source, tmp_path / 'out.png')
    with Image.open(tmp_path / 'out.png') as after:
        assert (after.info['icc_profile'], after.mode) == (profile, 'I;16')


def test_a_jpeg_keeps_its_quality_unless_told(tmp_path):
    source = save(tmp_path / 'rain.jpg', scene(0), quality=61, subsampling=0)
    derain(source, tmp_path / 'same.jpg')
    derain(source, tmp_path / 'told.jpg', quality=90)
    tables = [Image.open(tmp_path / name).quantization for name in ('rain.jpg', 'same.jpg')]
    assert tables[0] == tables[1] != Image.open(tmp_path / 'told.jpg').quantization


def test_a_phones_jpeg_with_a_second_picture_is_a_photograph(tmp_path):
    Image.fromarray(scene(0)).save(
        tmp_path / 'rain.jpg',
        'MPO',
        save_all=True,
        append_images=[Image.fromarray(scene(1))],
    )
    assert derain(tmp_path / 'rain.jpg', tmp_path / 'out.jpg').problems == []
    assert Image.open(tmp_path / 'out.jpg').size == (64, 48)


def test_a_folder_of_sizes_keeps_its_order_and_names_what_fails(tmp_path):
    files = []
    for index in range(10):
        path = save(tmp_path / f'{index}.png', scene(index, 20 + 7 * index, 90 - 5 * index))
        files.append((path, tmp_path / 'out' / path.name))
    files[3][0].write_bytes(files[3][0].read_bytes()[:-200])
    (tmp_path / 'out').mkdir()
    outcomes = list(derain_images(files, Job(darker, jobs=3)))
    assert [outcome.source for outcome in outcomes] == [str(source) for source, _ in files]
    assert [index for index, outcome in enumerate(outcomes) if outcome.problems] == [3]
    assert str(files[3][0]) in outcomes[3].problems[0]
    assert len(list((tmp_path / 'out').iterdir())) == 9


@pytest.mark.parametrize(
    ('mode', 'name', 'target', 'reason'),
    [
        ('RGB', 'moves.webp', 'out.webp', 'is an animation'),
        ('CMYK', 'print.jpg', 'out.jpg', 'has CMYK samples'),
        ('RGBA', 'alpha.png', 'out.jpg', 'has alpha, which JPEG cannot hold'),
        ('I;16', 'grey.png', 'out.jpg', 'has 16 bits per sample'),
    ],
)
def test_what_cannot_be_kept_is_refused(mode, name, target, reason, tmp_path):
    more = [Image.new('RGB', (64, 48))] if name == 'moves.webp' else []
    image = Image.fromarray(scene(0))
    image = image.convert('I').convert('I;16') if mode == 'I;16' else image.convert(mode)
    image.save(tmp_path / name, save_all=bool(more), append_images=more)
    outcome = derain(tmp_path / name, tmp_path / target)
    assert reason in outcome.problems[0]
    assert not (tmp_path / target).exists()
