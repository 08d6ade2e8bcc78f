"""Image files: turned upright, scaled to 8 bits, and refused in one clear line if damaged."""

import io
import os
from pathlib import Path
import socket
import struct
import zlib

import numpy as np
from PIL import Image
import pytest

from derain_ros.errors import DataError
from derain_ros.media import images
from derain_ros.media.images import image_files, read_image


@pytest.mark.parametrize('orientation', range(1, 9))
def test_a_photograph_is_turned_upright(street, tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(street).save(tmp_path / 'photo.png', exif=exif)
    rows = street if orientation < 5 else street.transpose(1, 0, 2)
    flips = {1: (1, 1), 2: (1, -1), 3: (-1, -1), 4: (-1, 1)}
    flips |= {5: (1, 1), 6: (1, -1), 7: (-1, -1), 8: (-1, 1)}
    down, across = flips[orientation]
    np.testing.assert_array_equal(read_image(tmp_path / 'photo.png'), rows[::down, ::across])


def test_exif_that_cannot_be_read_is_ignored(street, tmp_path):
    """A negative number in an unsigned fraction makes Pillow raise a struct.error."""
    exif = Image.Exif()
    exif[0x0112], exif[0x011A] = 1, 72
    data = exif.tobytes()
    for broken in (data[: len(data) // 2], data.replace(b'MM\x00', b'MM\xff'), b'Exif\0\0' * 9):
        Image.fromarray(street).save(tmp_path / 'photo.jpg', exif=broken, quality=95)
        assert read_image(tmp_path / 'photo.jpg').shape == street.shape


def test_a_negative_fraction_in_exif_does_not_keep_a_photograph_from_being_turned(
    street, tmp_path
):
    # two fields: orientation 6, and an unsigned fraction (type 5) that is a signed one (type 10)
    fields = struct.pack('>HHIHH', 0x0112, 3, 1, 6, 0) + struct.pack('>HHII', 0x011A, 10, 1, 38)
    exif = b'Exif\0\0MM\0*\0\0\0\x08\0\x02' + fields + bytes(4) + struct.pack('>ii', -1, 3)
    Image.fromarray(street).save(tmp_path / 'photo.png', exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / 'photo.png'), np.rot90(street, -1))


@pytest.mark.parametrize('suffix', ['png', 'bmp', 'webp'])
@pytest.mark.parametrize('mode', ['RGB', 'RGBA', 'L', 'P', '1'])
def test_every_mode_becomes_colour(street, tmp_path, suffix, mode):
    image = Image.fromarray(street).convert(mode)
    path = tmp_path / f'photo.{suffix}'
    image.save(path, lossless=True)
    expected = image.convert('RGB')
    if (suffix, mode) == ('webp', 'RGBA'):
        expected = Image.fromarray(street)
    np.testing.assert_array_equal(read_image(path), np.asarray(expected))


def test_sixteen_bits_are_scaled_and_not_clipped(street, tmp_path):
    Image.fromarray(street[..., 0].astype(np.uint16) * 257).save(tmp_path / 'grey.png')
    expected = np.repeat(street[..., :1], 3, axis=2)
    np.testing.assert_array_equal(read_image(tmp_path / 'grey.png'), expected)


def test_sixteen_bits_of_colour_are_scaled(street, tmp_path):
    import cv2

    cv2.imwrite(str(tmp_path / 'colour.png'), street[..., ::-1].astype(np.uint16) * 257)
    np.testing.assert_array_equal(read_image(tmp_path / 'colour.png'), street)


@pytest.mark.parametrize(
    ('samples', 'kind'),
    [(np.float32, '32-bit floating-point'), (np.int32, '32-bit integer')],
)
def test_samples_of_unknown_range_are_refused_by_name(street, tmp_path, samples, kind):
    Image.fromarray(street[..., 0].astype(samples)).save(tmp_path / 'a.png', format='TIFF')
    with pytest.raises(DataError, match=rf'a\.png: has {kind} samples.*convert it to 8 or 16'):
        read_image(tmp_path / 'a.png')


def png(width: int, height: int) -> bytes:
    """Return a black PNG of one bit per pixel, which is small however large it is."""
    rows = zlib.compress(bytes((width + 7) // 8 + 1) * height)
    header = struct.pack('>IIBBBBB', width, height, 1, 0, 0, 0, 0)
    chunks = [(b'IHDR', header), (b'IDAT', rows), (b'IEND', b'')]
    return b'\x89PNG\r\n\x1a\n' + b''.join(
        struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))
        for name, data in chunks
    )


def test_a_picture_of_a_200_megapixel_phone_is_decoded(tmp_path):
    """As far as it goes: whole it would take 20 s, and Pillow by itself refuses its header."""
    (tmp_path / 'phone.png').write_bytes(png(16320, 12288)[:2000])
    with pytest.raises(DataError, match=r'phone\.png: not a readable image \(.*truncated'):
        read_image(tmp_path / 'phone.png')


def test_an_absurd_size_is_refused_before_it_is_decoded(tmp_path):
    (tmp_path / 'bomb.png').write_bytes(png(images.LARGEST_PX // 1000, 1001))
    with pytest.raises(DataError, match=r'bomb\.png: claims 400000 x 1001 pixels'):
        read_image(tmp_path / 'bomb.png')


@pytest.mark.parametrize('kind', ['PNG', 'JPEG', 'BMP', 'WEBP', 'GIF'])
def test_damage_anywhere_is_one_clear_error_or_none(street, tmp_path, kind):
    data = io.BytesIO()
    Image.fromarray(street[:40, :40]).save(data, kind)
    whole = data.getvalue()
    rng = np.random.default_rng(0)
    path = tmp_path / 'photo.png'
    errors = 0
    for position in [*range(min(120, len(whole))), *rng.integers(len(whole), size=80)]:
        for damage in (0, 255):
            damaged = bytearray(whole)
            damaged[position] ^= damage or 0x80
            path.write_bytes(damaged if damage else damaged[:position])
            try:
                assert read_image(path).ndim == 3
            except DataError as error:
                assert str(error).startswith(f'{path}: ')
                errors += 1
    assert errors > 50


@pytest.mark.parametrize('kind', ['pipe', 'socket', 'device', 'folder'])
def test_only_files_are_opened(tmp_path, kind):
    path = tmp_path / 'rain.png'
    listener = socket.socket(socket.AF_UNIX)
    make = {
        'pipe': lambda: os.mkfifo(path),
        'socket': lambda: listener.bind(str(path)),
        'device': lambda: path.symlink_to('/dev/zero'),
        'folder': path.mkdir,
    }
    make[kind]()
    for read in (lambda: read_image(path), lambda: list(map(read_image, image_files(tmp_path)))):
        with pytest.raises(DataError, match=r'rain\.png: is a.*, where a file is needed'):
            read()
    listener.close()


def test_one_image_is_a_list_of_one(street, tmp_path):
    Image.fromarray(street).save(tmp_path / 'photo.PNG')
    assert image_files(tmp_path / 'photo.PNG') == image_files(tmp_path) == [tmp_path / 'photo.PNG']


def test_what_holds_no_image_is_named(tmp_path):
    (tmp_path / 'notes.txt').write_text('it rained')
    for name, reason in (
        ('', 'holds no image'),
        ('notes.txt', 'neither a folder nor an image nor a video'),
        ('nowhere', 'no such folder'),
    ):
        with pytest.raises(DataError, match=reason):
            image_files(tmp_path / name)
    with pytest.raises(DataError, match=r'nowhere\.png: cannot be read'):
        read_image(Path(tmp_path / 'nowhere.png'))
