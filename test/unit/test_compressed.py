"""Compressed image messages, as image_transport and camera drivers write them."""

from array import array
import resource
import struct
from types import SimpleNamespace

import cv2
import numpy as np
from PIL import Image
import pytest

from derain_ros.errors import ImageError
from derain_ros.image import compressed, raw


def message(picture: np.ndarray, message_format: str, suffix: str = '.png') -> SimpleNamespace:
    """Return a message with the picture as OpenCV writes it, BGR or grey."""
    data = cv2.imencode(suffix, picture)[1].tobytes()
    return SimpleNamespace(format=message_format, data=array('B', data))


@pytest.mark.parametrize(
    ('message_format', 'order', 'encoding'),
    [
        ('png', 'bgr', 'bgr8'),
        ('', 'bgr', 'bgr8'),
        ('bgr8; png compressed bgr8', 'bgr', 'bgr8'),
        ('rgb8; png compressed bgr8', 'bgr', 'bgr8'),
        ('bayer_rggb8; png compressed bgr8', 'bgr', 'bgr8'),
        ('rgb8; png compressed rgb8', 'rgb', 'rgb8'),
    ],
)
def test_a_colour_picture_keeps_its_colours(street, message_format, order, encoding):
    frame = compressed.read(message(street, message_format))
    assert (frame.order, frame.encoding, frame.alpha) == (order, encoding, None)
    np.testing.assert_array_equal(frame.pixels, street)


@pytest.mark.parametrize('message_format', ['jpeg', 'jpg', 'rgb8; jpeg compressed bgr8'])
def test_a_jpeg_is_decoded_as_pillow_does(street, tmp_path, message_format):
    sent = message(street, message_format, '.jpg')
    (tmp_path / 'street.jpg').write_bytes(sent.data)
    expected = np.asarray(Image.open(tmp_path / 'street.jpg'))[..., ::-1]
    assert np.abs(compressed.read(sent).pixels.astype(int) - expected).max() <= 3


@pytest.mark.parametrize('message_format', ['png', 'mono8; png compressed ', 'mono8; png'])
def test_a_grey_picture_stays_grey(street, message_format):
    frame = compressed.read(message(street[..., 0], message_format))
    assert frame.encoding == 'mono8'
    np.testing.assert_array_equal(frame.pixels, np.repeat(street[..., :1], 3, axis=2))


def test_alpha_is_kept(street):
    picture = np.dstack([street, street[..., 1]])
    frame = compressed.read(message(picture, 'bgra8; png compressed bgra8'))
    assert frame.encoding == 'bgra8'
    np.testing.assert_array_equal(frame.pixels, street)
    np.testing.assert_array_equal(frame.alpha, street[..., 1])


@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
@pytest.mark.parametrize('depth', [8, 16])
@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
def test_a_bayer_mosaic_is_demosaiced_as_a_raw_one_is(street, pattern, depth, suffix):
    mosaic = np.ascontiguousarray(street[:92, :140, 0])
    kind = {'.png': 'png', '.jpg': 'jpeg'}[suffix]
    stored = mosaic.astype(np.uint16) * 257 if depth == 16 and kind == 'png' else mosaic
    sent = message(stored, f'bayer_{pattern}{depth}; {kind} compressed ', suffix)
    if suffix == '.jpg':
        mosaic = cv2.imdecode(np.array(sent.data, np.uint8), cv2.IMREAD_GRAYSCALE)
    expected = raw.read(
        SimpleNamespace(
            height=92,
            width=140,
            step=140,
            is_bigendian=0,
            encoding=f'bayer_{pattern}8',
            data=array('B', mosaic.tobytes()),
        )
    )
    frame = compressed.read(sent)
    assert (frame.order, frame.encoding) == (expected.order, expected.encoding)
    np.testing.assert_array_equal(frame.pixels, expected.pixels)


def test_a_bayer_image_that_was_made_grey_is_grey(street):
    frame = compressed.read(message(street[..., 0], 'bayer_rggb8; jpeg compressed mono8'))
    assert frame.encoding == 'mono8'


def test_a_mosaic_of_unknown_pattern_is_refused_by_name(street):
    with pytest.raises(ImageError, match="encoding 'bayer_xtrans8', whose pattern is unknown"):
        compressed.read(message(street[..., 0], 'bayer_xtrans8; png compressed '))


def test_sixteen_bits_are_scaled(street):
    frame = compressed.read(message(street.astype(np.uint16) * 257, 'bgr16; png compressed bgr16'))
    np.testing.assert_array_equal(frame.pixels, street)


def test_exif_is_ignored(street, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    Image.fromarray(street).save(tmp_path / 'turned.jpg', exif=exif)
    data = (tmp_path / 'turned.jpg').read_bytes()
    frame = compressed.read(SimpleNamespace(format='jpeg', data=data))
    assert frame.pixels.shape == street.shape


@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
def test_a_picture_that_is_cut_anywhere_is_refused(street, suffix):
    """OpenCV fills up the rest of a JPEG in grey, and says nothing."""
    whole = message(street, 'jpeg', suffix).data.tobytes()
    for length in [0, 1, 2, 3, 8, 20, 24, 30, *range(40, len(whole), 97), len(whole) - 1]:
        with pytest.raises(ImageError, match='compressed picture of'):
            compressed.read(SimpleNamespace(format='jpeg', data=whole[:length]))


def test_a_cut_picture_with_a_whole_thumbnail_is_refused(street):
    thumbnail = message(street[:16, :16], 'jpeg', '.jpg').data.tobytes()
    picture = message(street, 'jpeg', '.jpg').data.tobytes()
    segment = b'\xff\xe1' + struct.pack('>H', len(thumbnail) + 2) + thumbnail
    whole = picture[:2] + segment + picture[2:]
    assert compressed.read(SimpleNamespace(format='jpeg', data=whole)).pixels.shape == street.shape
    with pytest.raises(ImageError, match='cut short'):
        compressed.read(SimpleNamespace(format='jpeg', data=whole[:-100]))


@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
def test_an_absurd_size_is_refused_by_the_header(street, suffix):
    data = bytearray(message(street, 'jpeg', suffix).data)
    if suffix == '.jpg':
        frame = data.index(b'\xff\xc0')
        data[frame + 5 : frame + 9] = struct.pack('>HH', 65280, 65280)
    else:
        data[16:24] = struct.pack('>II', 65280, 65280)
    with pytest.raises(ImageError, match='claims 65280 x 65280 pixels'):
        compressed.read(SimpleNamespace(format='jpeg', data=data))


@pytest.mark.parametrize('data', [b'it rained', b'RIFF\0\0\0\0WEBPVP8 ', bytes(12) + b'\x89PNG'])
def test_what_is_no_picture_is_refused(data):
    with pytest.raises(ImageError, match='neither JPEG nor PNG'):
        compressed.read(SimpleNamespace(format='16UC1; compressedDepth png', data=data))


def test_a_png_takes_no_memory_for_a_chunk_that_claims_gigabytes(street):
    data = bytearray(message(street, 'png').data)
    chunk = data.index(b'IDAT') - 4
    data[chunk : chunk + 4] = struct.pack('>I', 2**31 - 1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ImageError, match='cut short'):
        compressed.read(SimpleNamespace(format='png', data=data))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


def test_damage_within_a_png_is_refused(street):
    data = bytearray(message(street, 'png').data)
    data[len(data) // 2] ^= 0x55
    with pytest.raises(ImageError, match="format 'png' cannot be decoded"):
        compressed.read(SimpleNamespace(format='png', data=data))
