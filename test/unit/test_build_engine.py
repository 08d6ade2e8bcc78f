"""Engines of the released models, really built: TensorRT for RTX needs no GPU for it."""

from dataclasses import replace
import os
from pathlib import Path
import signal
import subprocess
import sys

from helpers.data import ROOT
from helpers.engines import SMALL, TENSORRT
from helpers.released import MODELS_BUILT, require
import onnx
import pytest
from safetensors.torch import save_file

from derain_ros.engine.tensorrt.api import convolution_precisions, create_log
from derain_ros.engine.tensorrt.build import build_engine
from derain_ros.engine.tensorrt.cache import EngineCache
from derain_ros.engine.tensorrt.graph import Size, tensorrt_graph
from derain_ros.errors import EngineError, ModelError
from derain_ros.model.graph import load_graph
from derain_ros.model.network import DerainNetwork, Shape


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / 'derain_ros')


def convolutions(model: str) -> int:
    return sum(node.op_type == 'Conv' for node in load_graph(model).graph.node)


def command(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, '-m', 'derain_ros.build_engine', *arguments],
        cwd=ROOT,
        env={**os.environ, 'XDG_CACHE_HOME': str(tmp_path)},
        text=True,
        capture_output=True,
    )


@pytest.mark.parametrize('batch', [1, 4])
@pytest.mark.parametrize(
    'model, precision',
    [(model, precision) for model in MODELS_BUILT for precision in ('fp16', 'fp32')],
)
def test_a_released_model_becomes_an_engine_that_runs_in_its_precision(
    cache, caplog, model, batch, precision
):
    entry = build_engine(require(model), Size(batch, 720, 1280), precision=precision, cache=cache)
    print(
        f'{model} {precision} batch {batch}: {len(entry.plan) / 1e6:.1f} MB, '
        f'{entry.facts.seconds:.1f} s, convolutions {entry.facts.convolutions}'
    )
    assert entry.facts.convolutions == {precision: convolutions(model)}
    assert 'REQUIRE_USER_ALLOCATION' in entry.key.flags  # without it CUDA may record no graph
    assert entry.path.read_bytes() == entry.plan
    assert not [record for record in caplog.records if record.levelname == 'WARNING']


@pytest.mark.parametrize('batch', [1, 4])
def test_the_network_takes_and_gives_frames_as_they_are(batch):
    trt, log = TENSORRT.module, create_log(TENSORRT)
    builder = trt.Builder(log)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    graph = tensorrt_graph('fast', Size(batch, 720, 1280), 'bgr', 'fp16')
    assert trt.OnnxParser(network, log).parse(graph.SerializeToString())
    assert (network.num_inputs, network.num_outputs) == (1, 1)
    for tensor in (network.get_input(0), network.get_output(0)):
        assert tensor.dtype == trt.uint8
        assert tuple(tensor.shape) == (batch, 720, 1280, 3)
    layers = [network.get_layer(index).type for index in range(network.num_layers)]
    assert trt.LayerType.SHAPE not in layers
    assert log.problems == []


def test_trained_weights_become_an_engine_too(cache, tiny, traced):
    entry = build_engine(str(tiny), SMALL, cache=cache)
    # feature transform, matching, one unit of three scales, its fusion of two, image conversion
    assert entry.facts.convolutions == {'fp16': 1 + 4 + 3 * 4 + 2 + 1}


def test_each_order_has_a_graph_of_its_own(cache):
    bgr, rgb = (build_engine('fast', SMALL, order=order, cache=cache) for order in ('bgr', 'rgb'))
    assert bgr.key.graph != rgb.key.graph


def test_an_operator_that_tensorrt_does_not_know_is_named(cache, tmp_path):
    graph = load_graph('fast')
    node = next(node for node in graph.graph.node if node.op_type == 'Round')
    node.op_type, node.domain = 'Blur', 'org.example'
    onnx.save(graph, tmp_path / 'odd.onnx')
    with pytest.raises(EngineError, match=r"odd\.onnx': TensorRT .* cannot parse '\w+' \(Blur\)"):
        build_engine(str(tmp_path / 'odd.onnx'), SMALL, cache=cache)
    assert list(cache.entries()) == []


@pytest.mark.parametrize(
    'spelling, precision',
    [
        ('Datatype: Half, Format: (NHWC) Channel major format', 'fp16'),
        ('Format/Datatype: Half', 'fp16'),
        ('Format/Datatype: Channel major FP16 format where C % 8 == 0', 'fp16'),
        ('Format/Datatype: Row major linear FP32', 'fp32'),
        ('Datatype: FP8, Format: (Linear) Row major linear format', 'FP8'),
    ],
)
def test_precisions_are_read_in_every_spelling_of_tensorrt(spelling, precision):
    layers = (
        'Layers:\n'
        'Name: copy for convolution_0, LayerType: Reformat, Inputs: [ { Name: a, '
        'Format/Datatype: Row major linear FP32 }]\n'
        'Name: convolution_0 + leaky_relu, LayerType: CaskConvolution, Inputs: [ { Name: b, '
        f'Dimensions: [1,48,9,16], {spelling} }}], Metadata: [ONNX Layer: convolution_0]\n'
        'Name: pool, LayerType: CaskPooling, Inputs: [ { Name: c, Format/Datatype: Half }]'
    )
    assert convolution_precisions(layers) == {precision: 1}


def test_ctrl_c_ends_the_build_and_leaves_nothing(cache):
    pressed = []

    def press_once(phase: str, done: float) -> None:
        if not pressed:
            pressed.append(phase)
            os.kill(os.getpid(), signal.SIGINT)

    # a shell ignores the signal for what it starts in the background
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            build_engine('fast', SMALL, cache=cache, progress=press_once)
    finally:
        signal.signal(signal.SIGINT, before)
    assert [path.name for path in cache.directory.iterdir()] == ['lock']


def test_progress_goes_from_nothing_to_all(cache):
    shares = []
    build_engine('fast', SMALL, cache=cache, progress=lambda phase, done: shares.append(done))
    assert 0 <= shares[0] < 0.5
    assert shares[-1] == 1


def test_the_command_builds_lists_and_prunes(tmp_path):
    built = command(
        tmp_path,
        'fast',
        '--size',
        '64x48',
        '--batch',
        '2',
        '--order',
        'rgb',
        '--precision',
        'fp32',
    )
    path = Path(built.stdout.strip())
    assert path.parent == tmp_path / 'derain_ros'
    assert 'convolutions in fp32' in built.stderr
    cache = EngineCache(path.parent)
    key = cache.read(path).key
    assert (key.batch, key.height, key.width, key.order) == (2, 48, 64, 'rgb')
    assert 'removed' not in command(tmp_path, '--prune').stdout
    old = cache.get(replace(key, version='1.0'), lambda: (b'old', cache.read(path).facts))
    listed = command(tmp_path, '--list')
    assert path.name in listed.stdout
    assert TENSORRT.version in listed.stdout
    path.write_bytes(path.read_bytes()[:1000])
    assert 'damaged' in command(tmp_path, '--list').stdout
    pruned = command(tmp_path, '--prune')
    assert f'removed {path}' in pruned.stdout
    assert f'removed {old.path}' in pruned.stdout
    assert list(cache.entries()) == []


@pytest.mark.parametrize(
    'arguments, reason',
    [
        (['fats', '--size', '64x48'], "error: model 'fats': neither a released name"),
        (['fast'], 'give a model and --size'),
        (['fast', '--list'], 'give a model and --size'),
        (['--size', '64x48', '--prune'], 'give a model and --size'),
        (['fast', '--size', '64'], "argument --size: '64' is not WIDTHxHEIGHT"),
        (['fast', '--size', '8x8'], 'error: a batch of 1 frames of 8x8'),
        (['fast', '--size', '64x48', '--batch', '0'], 'error: a batch of 0 frames'),
    ],
)
def test_bad_arguments_give_one_clear_error(tmp_path, arguments, reason):
    result = command(tmp_path, *arguments)
    assert result.returncode == 2
    assert reason in result.stderr
    assert 'Traceback' not in result.stderr


def test_weights_that_cannot_be_used_are_named(cache, tmp_path):
    network = DerainNetwork(Shape(channels=4, units=1))
    network.image_conversion.bias.data[2] = float('nan')
    save_file(
        network.state_dict(), tmp_path / 'nan.safetensors', {'shape': network.shape.to_json()}
    )
    with pytest.raises(ModelError, match=rf"{tmp_path}/nan\.safetensors: .*bias' is not fin"):
        build_engine(str(tmp_path / 'nan.safetensors'), SMALL, cache=cache)


def test_a_broken_file_is_a_clear_error(cache, tmp_path):
    (tmp_path / 'cut.safetensors').write_bytes(b'no weights')
    with pytest.raises(ModelError, match=r'cut\.safetensors'):
        build_engine(str(tmp_path / 'cut.safetensors'), SMALL, cache=cache)
