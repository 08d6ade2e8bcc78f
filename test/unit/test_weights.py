"""Graphs whose weights are damaged, with and without the checksum that export writes."""

from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
import pytest

from derain_ros.engine.openvino import OpenVinoEngine
from derain_ros.errors import ModelError
from derain_ros.model.graph import load_graph, write_graph
from derain_ros.model.weights import CHECKSUM, remove_checksum

WEIGHT = 'matching.block.0.weight'


def set_weight(graph: onnx.ModelProto, value: float) -> None:
    tensor = next(tensor for tensor in graph.graph.initializer if tensor.name == WEIGHT)
    values = numpy_helper.to_array(tensor).copy()
    values[3, 2, 1, 0] = value
    tensor.CopyFrom(numpy_helper.from_array(values, WEIGHT))


def test_export_writes_a_checksum_and_loading_takes_it_off(tiny_onnx, tmp_path):
    assert CHECKSUM in {entry.key for entry in onnx.load(tiny_onnx).metadata_props}
    graph = load_graph(str(tiny_onnx))
    assert CHECKSUM not in {entry.key for entry in graph.metadata_props}
    # so that a graph that is changed can be saved by others than export, too
    set_weight(graph, 1.0)
    onnx.save(graph, tmp_path / 'changed.onnx')
    load_graph(str(tmp_path / 'changed.onnx'))


def test_weights_that_do_not_fit_their_checksum_are_refused(tiny_onnx, tmp_path):
    graph = onnx.load(tiny_onnx)
    set_weight(graph, 0.125)
    onnx.save(graph, tmp_path / 'mine.onnx')
    with pytest.raises(ModelError, match=r'mine\.onnx: its weights are damaged, .* export'):
        OpenVinoEngine(str(tmp_path / 'mine.onnx'))


def test_a_graph_of_an_earlier_export_has_no_checksum_and_is_taken(tiny_onnx, tmp_path):
    graph = onnx.load(tiny_onnx)
    remove_checksum(graph)
    set_weight(graph, 0.125)
    onnx.save(graph, tmp_path / 'old.onnx')
    OpenVinoEngine(str(tmp_path / 'old.onnx')).close()


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused_on_the_cpu(tmp_path, value):
    graph = load_graph('fast')
    set_weight(graph, value)
    write_graph(graph, tmp_path / 'mine.onnx')
    with pytest.raises(ModelError, match=rf"mine\.onnx.*'{WEIGHT}' holds {value}.* export"):
        OpenVinoEngine(str(tmp_path / 'mine.onnx'))


@pytest.mark.parametrize('share', [0.01, 0.5, 0.999])
def test_a_truncated_file_is_refused(tiny_onnx, tmp_path: Path, share):
    content = tiny_onnx.read_bytes()
    (tmp_path / 'cut.onnx').write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ModelError, match=r'cut\.onnx: not an ONNX file'):
        OpenVinoEngine(str(tmp_path / 'cut.onnx'))
