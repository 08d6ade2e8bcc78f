"""The public face: de-raining arrays without ROS."""

from concurrent.futures import ThreadPoolExecutor
import re
import subprocess
import sys

from helpers.data import ROOT
from helpers.frames import difference, reference
import numpy as np
import pytest

import derain_ros
from derain_ros import Derainer, DerainError, EngineError, ImageError, ModelError
from derain_ros.model.export import load_network
from derain_ros.model.released import MODELS


@pytest.fixture(scope='module')
def derain():
    with Derainer('fast', engine='openvino', order='rgb') as derain:
        yield derain


def test_a_frame_comes_out_as_float32_pytorch_has_it(derain, street):
    before = street.copy()
    clean = derain(street)
    assert (clean.shape, clean.dtype) == (street.shape, np.uint8)
    expected = reference(load_network(MODELS / 'fast.onnx'), street[None])[0]
    assert difference(clean, expected) <= 2
    assert np.array_equal(street, before)


def test_frames_are_bgr_unless_told_otherwise(derain, street):
    with Derainer(engine='openvino') as of_opencv:
        clean = of_opencv(np.ascontiguousarray(street[..., ::-1]))
    assert difference(clean[..., ::-1], derain(street)) <= 2


def test_a_batch_comes_out_as_its_frames_do(derain, street):
    batch = np.stack([street, street[::-1]])
    clean = derain(batch)
    assert clean.shape == batch.shape
    for frame, expected in zip(batch, clean):
        assert difference(derain(frame), expected) <= 2


@pytest.mark.parametrize(
    'view',
    [
        lambda image: image[8:72, 16:101],
        lambda image: image[::-1],
        lambda image: image[:, ::-1],
        lambda image: image[..., ::-1],
        lambda image: image[::2, ::3],
        lambda image: image.transpose(1, 0, 2),
    ],
    ids=['crop', 'upside down', 'mirrored', 'other order', 'every other', 'transposed'],
)
def test_frames_of_any_strides_are_read(derain, street, view):
    assert np.array_equal(derain(view(street)), derain(np.ascontiguousarray(view(street))))


def test_out_receives_the_result_and_may_be_the_frame(derain, street):
    expected, out = derain(street), np.zeros_like(street)
    assert derain(street, out) is out
    assert np.array_equal(out, expected)
    derain(street, out=street)
    assert np.array_equal(street, expected)


def test_out_may_share_memory_with_frames_in_part(derain, street):
    expected = derain(street[1:])
    derain(street[1:], out=street[:-1])
    assert np.array_equal(street[:-1], expected)


def test_threads_take_turns(derain, street):
    expected = derain(street)
    with ThreadPoolExecutor(4) as threads:
        for clean in threads.map(derain, [street] * 12):
            assert np.array_equal(clean, expected)


def test_it_says_what_runs(derain):
    assert (derain.model, derain.engine) == ('fast', 'openvino')
    assert derain.precision in ('f32', 'bf16')


FRAME = np.zeros((32, 48, 3), np.uint8)


@pytest.mark.parametrize(
    'frames, out, reason',
    [
        ('image.png', None, 'frames must be a NumPy array, not str'),
        (None, None, 'frames must be a NumPy array, not NoneType'),  # what cv2.imread may return
        (FRAME / 255, None, 'frames must be uint8, 0 to 255, not float64; .*round'),
        (FRAME.astype(np.uint16), None, 'not uint16'),
        (FRAME[..., 0], None, r'must be \[H, W, 3\] or \[N, H, W, 3\], not \(32, 48\)'),
        (np.zeros((32, 48, 4), np.uint8), None, r'not \(32, 48, 4\); give three colour channels'),
        (FRAME[None][:0], None, 'must hold at least one frame'),
        (FRAME[:15], None, 'frames of 48x15 are too small .* at least 16x16 pixels, so pad them'),
        (FRAME, FRAME[:, :40], r'out is \(32, 40, 3\); it must be \(32, 48, 3\)'),
        (FRAME, FRAME[None], r'out is \(1, 32, 48, 3\)'),
        (FRAME, FRAME.astype(np.float32), 'out must be uint8'),
        (FRAME, np.zeros((32, 96, 3), np.uint8)[:, ::2], 'out must be C-contiguous and writable'),
        (FRAME, np.broadcast_to(FRAME, FRAME.shape), 'out must be C-contiguous and writable'),
    ],
)
def test_what_cannot_be_derained_is_one_clear_error(derain, frames, out, reason):
    with pytest.raises(ImageError, match=reason):
        derain(frames, out)


def test_after_close_frames_are_refused(street):
    derain = Derainer(engine='openvino')
    derain.close()
    derain.close()
    with pytest.raises(EngineError, match='closed'):
        derain(street)


@pytest.mark.parametrize(
    'options, kind, reason',
    [
        ({'model': 'fats'}, ModelError, "model 'fats': neither a released name"),
        ({'engine': 'cpu'}, EngineError, "engine 'cpu' is unknown; known are auto"),
        ({'order': 'RGB'}, ImageError, "order 'RGB' is unknown; give 'bgr' or 'rgb'"),
    ],
)
def test_options_that_are_unknown_are_named(options, kind, reason):
    with pytest.raises(kind, match=reason) as refused:
        Derainer(**options)
    assert isinstance(refused.value, DerainError)


def test_weights_are_a_model_too(tiny, traced, street):
    with Derainer(str(tiny), engine='openvino', order='rgb') as derain:
        assert difference(derain(street), reference(load_network(tiny), street[None])[0]) <= 2


LIGHT = """
import sys
import derain_ros
heavy = {'cv2', 'onnx', 'openvino', 'torch', 'rclpy', 'safetensors', 'tensorrt', 'cuda'}
print(sorted(heavy & set(sys.modules)), derain_ros.__all__ == [n for n in dir(derain_ros)
      if n in derain_ros.__all__])
"""


def test_importing_it_is_light():
    said = subprocess.run(
        [sys.executable, '-c', LIGHT], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert said.stdout == '[] True\n'


def test_the_version_is_that_of_the_package():
    (version,) = re.findall(r'<version>(.+)</version>', (ROOT / 'package.xml').read_text())
    assert derain_ros.__version__ == version


def test_a_model_may_be_a_path():
    with Derainer(MODELS / 'fast.onnx', engine='openvino') as derain:
        assert derain.model == str(MODELS / 'fast.onnx')


def test_read_only_frames_are_derained_as_others(street):
    frame = np.ascontiguousarray(street)
    read_only = np.frombuffer(frame.tobytes(), np.uint8).reshape(frame.shape)
    with Derainer('fast', engine='openvino') as derain:
        np.testing.assert_array_equal(derain(read_only), derain(frame))
