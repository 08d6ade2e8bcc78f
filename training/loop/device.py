"""Where a run computes: devices, processes, number formats."""

from datetime import timedelta
import os

import torch
import torch.distributed

FORMATS = {'float32': torch.float32, 'bf16': torch.bfloat16, 'fp16': torch.float16}
# the instructions without which a CPU emulates a format, a hundred times slower than float32
INSTRUCTIONS = {
    'bf16': ('amx_bf16', 'avx512_bf16', 'bf16'),
    'fp16': ('amx_fp16', 'avx512_fp16', 'fp16_arith'),
}
# one machine may have hours of bags to index, or of pairs to validate, while the others wait
TIMEOUT = timedelta(days=1)


def join_processes() -> tuple[torch.device, int, int]:
    """Return device, rank and number of processes, as torchrun's environment has them."""
    local_rank = int(os.environ.get('LOCAL_RANK', 0))
    device = torch.device('cpu')
    if torch.cuda.is_available():
        device = torch.device('cuda', local_rank)
        torch.cuda.set_device(device)
    if 'WORLD_SIZE' not in os.environ:
        return device, 0, 1
    torch.distributed.init_process_group(
        'nccl' if device.type == 'cuda' else 'gloo', timeout=TIMEOUT
    )
    return device, torch.distributed.get_rank(), torch.distributed.get_world_size()


def usable_precision(precision: str, device: torch.device) -> str:
    """Return the precision asked for, or float32 on a CPU that has no instructions for it."""
    if device.type != 'cpu' or precision == 'float32':
        return precision
    capabilities = torch.cpu.get_capabilities()
    return (
        precision if any(capabilities.get(name) for name in INSTRUCTIONS[precision]) else 'float32'
    )
