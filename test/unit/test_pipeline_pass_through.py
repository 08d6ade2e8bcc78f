"""What becomes of images that no engine can take: unchanged, or dropped where they are broken."""

from array import array

import pytest
import test_pipeline as whole
from test_pipeline import image

from derain_ros.errors import EngineError
from derain_ros.stream.pipeline import Counts

engine, recorder, pipeline = whole.engine, whole.recorder, whole.pipeline


@pytest.mark.parametrize('encoding, bytes_per_pixel', [('32FC1', 4), ('nv24', 3)])
def test_an_unknown_encoding_passes_through_and_says_why(
    pipeline, recorder, encoding, bytes_per_pixel
):
    sent = image(10, encoding, channels=bytes_per_pixel)
    sent.step = {'nv24': 20}.get(encoding, sent.step)  # three planes, one below the other
    pipeline.submit(sent)
    recorder.wait()
    ((result, _),) = recorder.results
    assert result.message == sent
    assert f"encoding '{encoding}'" in str(result.error)
    assert pipeline.counts == Counts(received=1, passed_through=1)


@pytest.mark.parametrize(
    'field, value',
    [('height', 17), ('step', 59), ('width', 0), ('width', 21), ('data', array('B'))],
)
def test_an_image_that_contradicts_itself_is_dropped_and_says_why(
    pipeline, recorder, field, value
):
    broken = image()
    setattr(broken, field, value)
    pipeline.submit(broken)
    recorder.wait()
    ((result, _),) = recorder.results
    assert result.message is None
    assert 'bgr8 image of' in str(result.error)
    assert pipeline.counts == Counts(received=1, dropped=1)


@pytest.mark.parametrize(
    'encoding, channels, rows',
    [('nv12', 1, 24), ('nv21', 1, 24), ('uyvy', 2, 16), ('rgb16', 6, 16)],
)
def test_every_layout_passes_through(pipeline, engine, recorder, encoding, channels, rows):
    sent = image(10, encoding, channels)
    sent.data = array('B', [10]) * (rows * sent.step)
    engine.error = EngineError('out of memory')
    pipeline.submit(sent)
    recorder.wait()
    ((result, _),) = recorder.results
    assert result.message is sent


@pytest.mark.parametrize('encoding, channels, length', [('32FC1', 4, 0), ('uyvy', 2, 639)])
def test_of_every_layout_what_is_broken_is_dropped(pipeline, recorder, encoding, channels, length):
    sent = image(10, encoding, channels)
    sent.data = sent.data[:length]
    pipeline.submit(sent)
    recorder.wait()
    assert pipeline.counts == Counts(received=1, dropped=1)
