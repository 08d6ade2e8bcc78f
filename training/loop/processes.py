"""One process or many: what torchrun says through the environment."""

from datetime import timedelta
import os

import torch
import torch.distributed

# one machine may have hours of bags to index, or of pairs to validate, while the others wait
TIMEOUT = timedelta(days=1)


def join_processes() -> tuple[torch.device, int, int]:
    """Give device, rank and number of processes; torchrun says them through the environment."""
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
