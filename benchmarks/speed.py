#!/usr/bin/env python3
"""
What a frame costs: the released shapes beside a PReNet-shaped network, in OpenVINO.

    python3 benchmarks/speed.py [--rounds 5] [--precision f32] [--json FILE]

All run in one process, in turns, so that a busy machine slows all of them; medians over rounds.
The share is of the machine's own peak: its fastest matrix multiplication in these rounds, in the
precision of the engine: bfloat16 where the CPU multiplies in it and float32 elsewhere, or as told.
"""

import argparse
from collections.abc import Callable
from copy import deepcopy
import json
from pathlib import Path
import statistics
from tempfile import TemporaryDirectory
import time

import _root  # noqa: F401  lets this repository be imported
import numpy as np
import openvino
import torch
from torch import nn, Tensor
from torch.utils.flop_counter import FlopCounterMode

from derain_ros.engine.openvino import preferred_precision
from derain_ros.model.export import export
from derain_ros.model.network import DerainNetwork, SHAPES

SIZES = ((360, 640), (720, 1280))
MATRIX, PRODUCTS = 2048, 8
FORMATS = {'bf16': torch.bfloat16, 'f32': torch.float32}


class PReNetWorkload(nn.Module):
    """
    The layers of PReNet (Ren et al. 2019, "Progressive Image Deraining Networks"), weights random.

    Six passes of one recurrent stage: a convolution of image and last output, an LSTM of
    convolutions, five residual blocks, a convolution to the image; 32 channels throughout.
    """

    PASSES, CHANNELS, BLOCKS = 6, 32, 5

    def __init__(self) -> None:
        super().__init__()
        width = self.CHANNELS
        self.entry = nn.Conv2d(6, width, 3, padding=1)
        self.gates = nn.ModuleList(nn.Conv2d(2 * width, width, 3, padding=1) for _ in range(4))
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, width, 3, padding=1),
                nn.ReLU(),
                nn.Conv2d(width, width, 3, padding=1),
                nn.ReLU(),
            )
            for _ in range(self.BLOCKS)
        )
        self.exit = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """Return an image for an image, float [N, 3, H, W]."""
        output, hidden = image, None
        for _ in range(self.PASSES):
            features = torch.relu(self.entry(torch.cat([image, output], 1)))
            if hidden is None:
                hidden = cell = torch.zeros_like(features)
            both = torch.cat([features, hidden], 1)
            keep, forget, give = (torch.sigmoid(gate(both)) for gate in self.gates[:3])
            cell = forget * cell + keep * torch.tanh(self.gates[3](both))
            features = hidden = give * torch.tanh(cell)
            for block in self.blocks:
                features = torch.relu(block(features) + features)
            output = self.exit(features)
        return output


def gmac(network: nn.Module, height: int, width: int) -> float:
    """Count the multiply-accumulates of one frame, in 10^9."""
    with FlopCounterMode(display=False) as counter, torch.device('meta'):
        deepcopy(network).to('meta')(torch.empty(1, 3, height, width))
    return counter.get_total_flops() / 2e9


def compiled(graph: Path, height: int, width: int, precision: str) -> Callable[[], object]:
    """Return a function that runs a graph, compiled for one frame size as the CPU engine does."""
    core = openvino.Core()
    model = core.read_model(graph)
    model.reshape([1, height, width, 3])
    request = core.compile_model(
        model, 'CPU', {'INFERENCE_PRECISION_HINT': precision, 'PERFORMANCE_HINT': 'LATENCY'}
    ).create_infer_request()
    noise = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), np.uint8)
    request.set_input_tensor(openvino.Tensor(noise))
    return request.infer


def multiply(precision: str) -> Callable[[], object]:
    """Prepare the multiplication of PRODUCTS pairs of matrices, MATRIX x MATRIX."""
    one, other, out = (torch.randn(MATRIX, MATRIX, dtype=FORMATS[precision]) for _ in range(3))
    # into memory that is there: page faults are not multiplication
    return lambda: [torch.mm(one, other, out=out) for _ in range(PRODUCTS)]


def seconds(work: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """
    Time every kind of work once a round, after one round that does not count.

    :returns: medians, and for ``peak`` the least.
    """
    times: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(rounds + 1):
        for name, run in work.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return {
        name: min(values) if name == 'peak' else statistics.median(values[1:])
        for name, values in times.items()
    }


def measure(height: int, width: int, rounds: int, precision: str, folder: Path) -> list[dict]:
    """Return a row for each network at one frame size."""
    networks: dict[str, nn.Module] = {'PReNet-shaped': PReNetWorkload()}
    networks |= {name: DerainNetwork(shape) for name, shape in SHAPES.items()}
    work = {'peak': multiply(precision)}
    for name, network in networks.items():
        export(network, folder / f'{name}.onnx')
        work[name] = compiled(folder / f'{name}.onnx', height, width, precision)
    times = seconds(work, rounds)
    peak = PRODUCTS * MATRIX**3 / times['peak'] / 1e9
    rows = []
    for name, network in networks.items():
        work_done = gmac(network, height, width)
        rows.append(
            {
                'size': f'{width}x{height}',
                'network': name,
                'gmac': work_done,
                'ms': times[name] * 1e3,
                'times_prenet': times['PReNet-shaped'] / times[name],
                'share_of_peak': work_done / times[name] / peak,
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--precision', choices=FORMATS, default=preferred_precision())
    parser.add_argument('--json', type=Path)
    arguments = parser.parse_args()
    rows = []
    print(f'in {arguments.precision}')
    print(f'{"size":>9}  {"network":14} {"GMAC":>7} {"ms":>8}  PReNet is  share of peak')
    for height, width in SIZES:
        with TemporaryDirectory() as folder:
            for row in measure(height, width, arguments.rounds, arguments.precision, Path(folder)):
                rows.append(row)
                print(
                    '{size:>9}  {network:14} {gmac:7.1f} {ms:8.1f}  {times_prenet:7.2f} x  '
                    '{share_of_peak:10.1%}'.format(**row),
                    flush=True,
                )
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + '\n')


if __name__ == '__main__':
    main()
