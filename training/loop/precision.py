"""In which number format to multiply on a device."""

import torch

FORMATS = {'float32': torch.float32, 'bf16': torch.bfloat16, 'fp16': torch.float16}
# the instructions without which a CPU emulates a format, a hundred times slower than float32
INSTRUCTIONS = {
    'bf16': ('amx_bf16', 'avx512_bf16', 'bf16'),
    'fp16': ('amx_fp16', 'avx512_fp16', 'fp16_arith'),
}


def usable(precision: str, device: torch.device) -> str:
    """Give the precision asked for, or float32 on a CPU that has no instructions for it."""
    if device.type != 'cpu' or precision == 'float32':
        return precision
    capabilities = torch.cpu.get_capabilities()
    return (
        precision if any(capabilities.get(name) for name in INSTRUCTIONS[precision]) else 'float32'
    )
