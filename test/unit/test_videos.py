"""Video files: every frame, upright, and damage that is said."""

from collections.abc import Iterator
import os
from pathlib import Path
import struct

import av
import cv2
import numpy as np
import pytest

from derain_ros.errors import DataError
from derain_ros.media.videos import read_images, video_facts, video_frames


def write_video(path: Path, codec: str = 'MJPG', frames: int = 40, rate: float = 10.0) -> Path:
    """Write a video of noisy grey frames, each brighter than the one before."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), rate, (64, 48))
    noise = np.random.default_rng(0).normal(0, 8, (frames, 48, 64, 1)).repeat(3, axis=3)
    for index in range(frames):
        writer.write(np.clip(noise[index] + 20 + 5 * index, 0, 255).astype(np.uint8))
    writer.release()
    return path


def shown(frames: Iterator[np.ndarray]) -> tuple[list[int], str]:
    """Return which frames there are, and the error after them."""
    numbers = []
    try:
        numbers.extend(round((float(frame.mean()) - 20) / 5) for frame in frames)
    except DataError as error:
        return numbers, str(error)
    return numbers, ''


@pytest.mark.parametrize(('codec', 'suffix'), [('MJPG', 'avi'), ('mp4v', 'mp4'), ('mp4v', 'mkv')])
def test_every_frame_is_read_as_opencv_does(tmp_path, codec, suffix):
    path = write_video(tmp_path / f'drive.{suffix}', codec)
    capture, count = cv2.VideoCapture(str(path)), 0
    for frame in video_frames(path):
        # it converts colours by FFmpeg's fast way, which is less exact
        np.testing.assert_allclose(frame, capture.read()[1][..., ::-1].astype(int), atol=3)
        count += 1
    assert (count, capture.read()[0]) == (40, False)
    assert video_facts(path) == (10.0, 40)


# how far red and blue weigh in the luma of a standard, and the number H.264 has for it
MATRICES = {'BT.601': (0.299, 0.114, 6), 'BT.709': (0.2126, 0.0722, 1), 'none': (0.299, 0.114, 2)}


@pytest.mark.parametrize('is_full', [False, True], ids=['limited range', 'full range'])
@pytest.mark.parametrize('matrix', MATRICES)
def test_colours_are_those_that_were_filmed(tmp_path, matrix, is_full):
    """Against the formula of the standards, whatever matrix and range the video names."""
    red, blue, number = MATRICES[matrix]
    colours = np.random.default_rng(0).integers(40, 216, (3, 4, 3)).astype(float)
    luma = colours @ (red, 1 - red - blue, blue)
    chroma = [(colours[..., at] - luma) / (1 - weight) / 2 for at, weight in ((2, blue), (0, red))]
    scales = (1, 1, 0) if is_full else (219 / 255, 224 / 255, 16)
    planes = [scales[2] + luma * scales[0], *(128 + scales[1] * plane for plane in chroma)]
    frame = av.VideoFrame(64, 48, 'yuv420p')
    for plane, values, patch in zip(frame.planes, planes, (16, 8, 8)):
        rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
        rows[:, : plane.width] = np.kron(values.round(), np.ones((patch, patch)))
    frame.colorspace, frame.color_range = number, 2 if is_full else 1
    with av.open(str(tmp_path / 'filmed.mp4'), 'w') as output:
        stream = output.add_stream('libx264', rate=10, options={'qp': '0'})
        stream.width, stream.height, stream.pix_fmt = 64, 48, 'yuv420p'
        stream.codec_context.colorspace = frame.colorspace
        stream.codec_context.color_range = frame.color_range
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    shown = next(video_frames(tmp_path / 'filmed.mp4')).astype(float)
    patches = shown.reshape(3, 16, 4, 16, 3)[:, 4:12, :, 4:12].mean(axis=(1, 3))
    np.testing.assert_allclose(patches, colours, atol=1.5)
    assert abs((patches - colours).mean()) < 0.3


def test_one_frame_in_so_many_seconds_is_read(tmp_path):
    path = write_video(tmp_path / 'drive.avi')
    assert shown(video_frames(path, seconds=1.0)) == ([0, 10, 20, 30], '')
    assert len(read_images(path)) == 4


@pytest.mark.parametrize('size', [60, 600])
def test_frames_that_a_decoder_patches_up_are_said_to_be_broken(tmp_path, size):
    path = write_video(tmp_path / 'drive.avi', 'mp4v')
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + size] = np.random.default_rng(0).bytes(size)
    path.write_bytes(data)
    with pytest.raises(DataError, match=r'damaged, \d+ frames are broken'):
        list(video_frames(path))


def test_a_hole_in_the_middle_is_said_and_the_rest_is_read(tmp_path):
    path = write_video(tmp_path / 'drive.avi')
    data = bytearray(path.read_bytes())
    position = data.index(b'movi')
    for index in range(13):
        position = data.index(b'00dc', position) + 8
        if index >= 9:
            size = int.from_bytes(data[position - 4 : position], 'little')
            data[position : position + size] = bytes(size)
    path.write_bytes(data)

    numbers, error = shown(video_frames(path))

    assert numbers == [*range(9), *range(13, 40)]
    assert error.startswith(f'{path}: damaged, 4 of 40 frames are missing')
    with pytest.raises(DataError, match='4 of 40 frames are missing'):
        read_images(path)


@pytest.mark.parametrize(('codec', 'suffix'), [('MJPG', 'avi'), ('mp4v', 'mkv')])
def test_a_video_that_is_cut_is_said(tmp_path, codec, suffix):
    path = write_video(tmp_path / f'drive.{suffix}', codec)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    numbers, error = shown(video_frames(path))

    assert 10 < len(numbers) < 30
    assert f'damaged, {40 - len(numbers)} of 40 frames are missing' in error


@pytest.mark.parametrize('turns', range(4))
def test_a_phones_video_is_turned_upright(tmp_path, turns):
    path = write_video(tmp_path / 'phone.mp4', 'mp4v', frames=2)
    data = bytearray(path.read_bytes())
    matrix = data.index(b'tkhd') + 44
    cosine, sine = [(1, 0), (0, 1), (-1, 0), (0, -1)][turns]
    values = (cosine, sine, 0, -sine, cosine, 0, 0, 0, 1 << 14)
    data[matrix : matrix + 36] = struct.pack('>9i', *(value << 16 for value in values))
    path.write_bytes(data)

    frame = next(video_frames(path))

    expected = cv2.VideoCapture(str(path)).read()[1][..., ::-1].astype(int)
    np.testing.assert_allclose(frame, expected, atol=3)
    assert frame.shape == ((48, 64, 3) if turns % 2 == 0 else (64, 48, 3))


@pytest.mark.parametrize('content', [b'', b'it rained', b'RIFF\x10\0\0\0AVI LIST'])
def test_what_is_no_video_is_named(tmp_path, content):
    (tmp_path / 'notes.avi').write_bytes(content)
    for read in (video_facts, lambda path: list(video_frames(path))):
        with pytest.raises(DataError, match=r'notes\.avi: not a video that can be read'):
            read(tmp_path / 'notes.avi')


@pytest.mark.parametrize(('kind', 'name'), [('.jpg', 'a.mp4'), ('.png', 'a'), ('.tiff', 'a.tiff')])
def test_a_photograph_is_no_video_of_one_frame(tmp_path, kind, name):
    photograph = np.full((48, 64, 3), 80, np.uint8)
    (tmp_path / name).write_bytes(cv2.imencode(kind, photograph)[1].tobytes())
    with pytest.raises(DataError, match=f'{name}: is a single picture'):
        next(video_frames(tmp_path / name))


def test_only_files_are_opened(tmp_path):
    os.mkfifo(tmp_path / 'drive.mp4')
    with pytest.raises(DataError, match=r'drive\.mp4: is a pipe'):
        read_images(tmp_path / 'drive.mp4')


def test_a_name_with_a_colon_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / 'drive.avi').rename(tmp_path / 'concat:drive.avi')
    assert len(list(video_frames(Path('concat:drive.avi')))) == 40


def test_one_photograph_is_read(tmp_path, street):
    cv2.imwrite(str(tmp_path / 'photo.png'), street)
    (photo,) = read_images(tmp_path / 'photo.png')
    np.testing.assert_array_equal(photo, street[..., ::-1])
