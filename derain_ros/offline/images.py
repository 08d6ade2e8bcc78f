"""
Image files: format, EXIF, colour profile, alpha and 16 bits are kept.

The network is shown an image upright; the result is turned back, so that the EXIF of the file
still says how to turn it. Of 16 bits it sees the upper 8; the full samples lose what it takes out.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, cast, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin

from derain_ros.errors import DataError
from derain_ros.files import write_atomically
from derain_ros.media.images import opened_image, orientation
from derain_ros.offline.job import Job, Pair, Pixels
from derain_ros.offline.overlap import overlapped
from derain_ros.offline.report import begun, failed, Outcome
from derain_ros.stream.inspection import Inspector

FORMATS = {
    '.png': 'PNG',
    '.jpg': 'JPEG',
    '.jpeg': 'JPEG',
    '.webp': 'WEBP',
    '.bmp': 'BMP',
}
MODES = ('1', 'L', 'LA', 'P', 'PA', 'RGB', 'RGBA')
JPEG_QUALITY = WEBP_QUALITY = 95
# an eighth turn of EXIF: how often to turn by 90 degrees to the left, and whether to mirror first
TURNS = {1: (0, 0), 2: (0, 1), 3: (2, 0), 4: (2, 1), 5: (1, 1), 6: (3, 0), 7: (3, 1), 8: (1, 0)}
# chunks of PNG that say how samples are shown, and not what they are
PNG_CHUNKS = {b'iCCP', b'sRGB', b'gAMA', b'cHRM', b'cICP', b'eXIf', b'pHYs', b'tEXt', b'iTXt'}
PNG_SIGNATURE_BYTES, PNG_HEADER_BYTES, PNG_DEPTH = 8, 33, 24


class Picture(NamedTuple):
    """
    A decoded image file.

    :param samples: as stored: uint8 or uint16 [H, W, 3] in BGR, or [H, W].
    :param alpha: of the same dtype, [H, W]; None if there is none.
    :param saving: what Pillow needs to write the same kind of file.
    :param chunks: of a 16-bit PNG, which Pillow cannot write.
    """

    target: Path
    samples: NDArray[Any]
    alpha: NDArray[Any] | None
    orientation: int
    saving: dict[str, Any]
    chunks: bytes


def derain_images(files: list[tuple[Path, Path]], job: Job) -> Iterator[Outcome]:
    """
    De-rain image files.

    :param files: what to read and what to write; they are written whole or not at all.
    :returns: one outcome each, in order.
    """

    def infer(picture: Picture) -> tuple[Picture, Pair]:
        rainy = _turned(_colour(picture.samples), picture.orientation)
        return picture, job.pair(rainy, Inspector())

    def decode(file: tuple[Path, Path]) -> Picture:
        return read_picture(*file, job.quality)

    for (source, target), result in overlapped(iter(files), decode, infer, _write, jobs=job.jobs):
        assert result is not None
        try:
            pair = result.result()
        except Exception as error:  # of whatever kind: one image must not end the others
            outcome = failed(source, target, error)
        else:
            outcome = begun(source, target, [source.name], job)
            outcome.streams[0].add_derained(0.0, pair)
        job.advance(1.0)
        yield outcome


def read_picture(source: Path, target: Path, quality: int | None) -> Picture:
    """
    Read an image file, and how its result is to be written.

    :raises DataError: it is no image, is damaged, an animation, or in the colours of print.
    """
    with opened_image(source) as image:
        # phones put a second picture, such as a map of brightness, into one JPEG
        if getattr(image, 'is_animated', False) and image.format != 'MPO':
            raise DataError(f'{source}: is an animation; convert it to a video')
        data = source.read_bytes() if image.format == 'PNG' else b''
        is_deep = bool(data) and data[PNG_DEPTH] == 16
        if image.mode not in MODES and not is_deep:
            raise DataError(f'{source}: has {image.mode} samples; convert it to RGB')
        saving = _saving(image, target, quality)
        if is_deep and saving['format'] != 'PNG':
            raise DataError(f'{source}: has 16 bits per sample; write it as PNG')
        if image.has_transparency_data and saving['format'] == 'JPEG':
            raise DataError(f'{source}: has alpha, which JPEG cannot hold; write it as PNG')
        if is_deep:  # Pillow reads no colour of 16 bits
            samples: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        else:
            samples = _samples(image)
        return Picture(target, *_split(samples), orientation(image), saving, _ancillary(data))


def _samples(image: Image.Image) -> NDArray[Any]:
    """Return the 8-bit samples of an image: grey, or BGR, and alpha if it has any."""
    if image.mode in ('1', 'L', 'LA'):
        return np.array(image.convert('LA' if image.has_transparency_data else 'L'))
    if image.has_transparency_data:
        return cv2.cvtColor(np.array(image.convert('RGBA')), cv2.COLOR_RGBA2BGRA)
    return cv2.cvtColor(np.array(image.convert('RGB')), cv2.COLOR_RGB2BGR)


def _saving(image: Image.Image, target: Path, quality: int | None) -> dict[str, Any]:
    """Return what Pillow needs to save a result as its input was."""
    kind = FORMATS[target.suffix.lower()]
    saving: dict[str, Any] = {'format': kind}
    for name, key in (('exif', 'exif'), ('icc_profile', 'icc_profile'), ('dpi', 'dpi')):
        if image.info.get(key) is not None:
            saving[name] = image.info[key]
    if kind == 'JPEG' and quality is None and isinstance(image, JpegImagePlugin.JpegImageFile):
        sampling = JpegImagePlugin.get_sampling(image)
        return saving | {'qtables': image.quantization, 'subsampling': max(0, sampling)}
    if kind == 'JPEG':
        return saving | {'quality': quality or JPEG_QUALITY}
    if kind == 'WEBP':
        return saving | {'quality': quality or WEBP_QUALITY, 'exact': True}
    return saving


def _split(samples: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Return colour or grey, and alpha."""
    if samples.ndim == 3 and samples.shape[2] in (2, 4):
        colour = samples[..., :-1]
        return colour[..., 0] if colour.shape[2] == 1 else colour, samples[..., -1]
    return samples, None


def _colour(samples: NDArray[Any]) -> Pixels:
    """Return samples as the network takes them, uint8 [H, W, 3]."""
    if samples.dtype == np.uint16:
        samples = (samples // 257).astype(np.uint8)
    if samples.ndim == 2:
        samples = np.repeat(samples[..., np.newaxis], 3, axis=2)
    return cast(Pixels, samples)


def _turned(pixels: Pixels, turn: int, back: bool = False) -> Pixels:
    """Turn an image upright as EXIF says, or back."""
    quarters, mirrored = TURNS.get(turn, (0, 0))
    if back:
        pixels = np.rot90(pixels, -quarters)
        return np.ascontiguousarray(np.fliplr(pixels) if mirrored else pixels)
    return np.ascontiguousarray(np.rot90(np.fliplr(pixels) if mirrored else pixels, quarters))


def _write(result: tuple[Picture, Pair]) -> Pair:
    """Write the result of a picture."""
    picture, pair = result
    samples: NDArray[Any] = _turned(pair.derained, picture.orientation, back=True)
    if picture.samples.ndim == 2:
        samples = cv2.cvtColor(samples, cv2.COLOR_BGR2GRAY)
    if picture.samples.dtype == np.uint16:
        # what is below 8 bits of the input stays
        low = picture.samples.astype(np.int32) - picture.samples // 257 * 257
        samples = np.clip(samples.astype(np.int32) * 257 + low, 0, 65535).astype(np.uint16)
    if picture.alpha is not None:
        samples = np.dstack([samples, picture.alpha])
    write_atomically(picture.target, _encoded(picture, samples))
    return pair


def _encoded(picture: Picture, samples: NDArray[Any]) -> bytes:
    """Return the bytes of a file."""
    if samples.dtype == np.uint16:
        data = cv2.imencode('.png', samples)[1].tobytes()
        return data[:PNG_HEADER_BYTES] + picture.chunks + data[PNG_HEADER_BYTES:]
    if samples.ndim == 3 and samples.shape[2] > 2:
        code = cv2.COLOR_BGRA2RGBA if samples.shape[2] == 4 else cv2.COLOR_BGR2RGB
        samples = cv2.cvtColor(samples, code)
    target = BytesIO()
    Image.fromarray(samples).save(target, **picture.saving)
    return target.getvalue()


def _ancillary(data: bytes) -> bytes:
    """Return the chunks of a PNG file that its result keeps."""
    position, kept = PNG_SIGNATURE_BYTES, b''
    while position + 12 <= len(data):
        end = position + 12 + int.from_bytes(data[position : position + 4], 'big')
        if data[position + 4 : position + 8] in PNG_CHUNKS:
            kept += data[position:end]
        position = end
    return kept
