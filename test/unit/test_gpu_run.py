"""The one command for GPU machines, rehearsed on the CPU, where most of it is 'not run'."""

import json
from pathlib import Path
import subprocess
import sys
import tarfile
import time

from helpers.data import ROOT
from helpers.fake_gpu import FakeGpu
from parts import judged, Part, run_part
import pytest

from training.configuration import read_config
from training.loop.checkpoints import start_network

JOBS = sorted((ROOT / 'gpu' / 'jobs').glob('*.yaml'))
# what such a machine has not
BARE = """
import runpy, sys
sys.modules |= dict.fromkeys(
    ['rclpy', 'rosbags', 'openvino', 'av', 'mcap', 'zstandard', 'lz4', 'skvideo', 'launch_ros']
)
sys.argv = sys.argv[1:]
sys.path.insert(0, 'gpu')
runpy.run_path(sys.argv[0], run_name='__main__')
"""


def rehearse(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, '-c', BARE, 'gpu/run.py', *arguments, '--rehearse'],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_rehearsed_check_says_of_each_part_what_came_of_it(tmp_path):
    done = rehearse('check', '--out', str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads((tmp_path / 'check.json').read_text())
    assert document['rehearsal']
    states = {part['name']: part['state'] for part in document['parts']}
    assert states['crops per second of fast, on the device'] == 'passed'
    table = (tmp_path / 'check.md').read_text()
    assert table.startswith('A rehearsal')
    for part in document['parts']:
        assert f'| {part["name"]} | {part["state"]} |' in table
        assert part['reason']
    assert '| batch 4 |' in table


def test_a_rehearsed_training_leaves_weights_of_a_size_that_travels(tmp_path):
    done = rehearse('train', 'fast-light', '--out', str(tmp_path), '--minutes', '2')
    assert done.returncode == 0, done.stdout + done.stderr
    (part,) = json.loads((tmp_path / 'train.json').read_text())['parts']
    assert (part['name'], part['state']) == ('fast-light', 'passed')
    assert 'PSNR (Y) rain_light' in part['reason']
    with tarfile.open(tmp_path / 'fast-light.tar') as archive:
        names = [name.rpartition('/')[2] for name in archive.getnames()]
    assert names[:3] == ['best.safetensors', 'last.safetensors', 'checkpoint.pt']
    assert all(path.stat().st_size < 16e6 for path in tmp_path.iterdir())


def test_images_made_by_code_are_not_learned_from(tmp_path):
    done = subprocess.run(
        [sys.executable, 'gpu/run.py', 'train', 'fast', '--out', tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert 'give --data' in done.stderr


@pytest.mark.parametrize('path', JOBS, ids=lambda path: path.stem)
def test_a_job_is_an_experiment_whose_weights_to_start_from_are_released(path):
    start_network(read_config(path))


def test_what_overruns_is_ended_with_all_that_it_started(tmp_path):
    child = (
        f'import time, pathlib; time.sleep(3); pathlib.Path({str(tmp_path / "late")!r}).touch()'
    )
    code = (
        'import subprocess, sys; print("begun", flush=True); '
        f'subprocess.run([sys.executable, "-c", {child!r}])'
    )
    outcome = run_part(Part('slow', [sys.executable, '-c', code], 1.0), tmp_path / 'log', 60.0)
    assert (outcome.state, outcome.reason) == (
        'failed',
        'its time ran out; its last words: begun',
    )
    time.sleep(3)
    assert not (tmp_path / 'late').exists()


def test_without_time_or_what_it_needs_a_part_is_not_begun(tmp_path):
    part = Part('part', ['false'], 1.0)
    assert run_part(part, tmp_path / 'log', 1.0).reason == 'no time was left'
    part = Part('part', ['false'], 1.0, missing='no CUDA')
    assert run_part(part, tmp_path / 'log', 60.0).state == 'not run'
    assert not (tmp_path / 'log').exists()


@pytest.mark.parametrize(
    ('status', 'output', 'expected'),
    [
        (0, 'a\n3 passed in 1 s\n', ('passed', '3 passed in 1 s')),
        (0, 'SKIPPED [3] no CUDA\n3 skipped in 1 s\n', ('not run', 'SKIPPED [3] no CUDA')),
        (
            0,
            'SKIPPED [1] no CUDA\n2 passed, 1 skipped in 1 s\n',
            ('passed', '2 passed, 1 skipped in 1 s; SKIPPED [1] no CUDA'),
        ),
        (1, 'FAILED test_one\n1 failed\n', ('failed', 'FAILED test_one (status 1)')),
        (2, 'error: no such file\n', ('failed', 'error: no such file (status 2)')),
        (3, 'refused: by TensorRT\n', ('not run', 'refused: by TensorRT')),
        (None, '', ('failed', 'its time ran out; its last words: it said nothing')),
    ],
)
def test_states_and_reasons_are_read_from_status_and_output(status, output, expected):
    assert judged(status, output) == expected


def test_engines_are_timed_with_and_without_copies(monkeypatch, tmp_path: Path):
    pytest.importorskip('cuda.bindings', reason='pip install -r requirements/tensorrt.txt')
    from helpers.fake_gpu import FakeTensorRt
    import tensorrt_speed

    from derain_ros.engine.tensorrt import buffers, engine
    from derain_ros.engine.tensorrt.cache import EngineCache
    from derain_ros.engine.tensorrt.entry import Entry, Facts
    from derain_ros.engine.tensorrt.graph import Size

    gpu, size = FakeGpu(), Size(1, 16, 24)
    monkeypatch.setattr(engine, 'cuda', gpu)
    monkeypatch.setattr(buffers, 'cuda', gpu)
    monkeypatch.setattr(engine, 'first_gpu', lambda: None)
    monkeypatch.setattr(engine, 'load_tensorrt', FakeTensorRt(gpu, (*size, 3)).load)
    key = type('Key', (), {**size._asdict(), 'order': 'bgr'})
    facts = Facts(model='fast', convolutions={}, seconds=2.0)
    entry = Entry(path=tmp_path, key=key, facts=facts, plan=b'plan')
    monkeypatch.setattr(tensorrt_speed, 'build_engine', lambda *_, **__: entry)

    row = tensorrt_speed.measure_engine('fast', size, 'fp16', EngineCache(tmp_path), 3)
    assert row['engine alone'] == {'p50_ms': 1.5, 'p99_ms': 1.5}
    for name in ('copies, graph', 'copies, steps'):
        assert 0 < row[name]['p50_ms'] <= row[name]['p99_ms']
    assert (row['build_s'], row['runs_in']) == (2.0, 'fp16')
    assert '24x16, batch 1, fp16: copies, graph' in tensorrt_speed.show(row)
