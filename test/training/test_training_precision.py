"""In which number format training multiplies, by device."""

from pathlib import Path

import pytest
import torch

from training.loop.device import usable_precision

CPU = torch.device('cpu')
INFO = Path('/proc/cpuinfo')


@pytest.mark.parametrize('precision', ['float32', 'bf16', 'fp16'])
def test_a_gpu_gets_what_was_asked_for(precision: str) -> None:
    assert usable_precision(precision, torch.device('cuda')) == precision


@pytest.mark.skipif('flags' not in INFO.read_text(), reason='not an x86 Linux machine')
def test_this_cpu_multiplies_bfloat16_where_the_kernel_says_that_it_can() -> None:
    flags = set(INFO.read_text().split())
    expected = 'bf16' if flags & {'amx_bf16', 'avx512_bf16'} else 'float32'
    assert usable_precision('bf16', CPU) == expected
    assert usable_precision('float32', CPU) == 'float32'


@pytest.mark.parametrize(
    'capabilities, bf16, fp16',
    [
        ({'avx2': True, 'avx512_bf16': False}, 'float32', 'float32'),
        ({'avx512_bf16': True}, 'bf16', 'float32'),
        ({'amx_bf16': True, 'amx_fp16': True}, 'bf16', 'fp16'),
        ({'bf16': True, 'fp16_arith': True}, 'bf16', 'fp16'),  # Arm
    ],
)
def test_a_cpu_without_the_instructions_gets_float32(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict, bf16: str, fp16: str
) -> None:
    monkeypatch.setattr(torch.cpu, 'get_capabilities', lambda: capabilities)
    assert (usable_precision('bf16', CPU), usable_precision('fp16', CPU)) == (bf16, fp16)
