"""A run on a GPU: steps that nothing waits for, replayed as one CUDA graph."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn, Tensor
import torch.distributed

from training.configuration import Config
from training.data.batches import Batch
from training.errors import RunError
from training.loop.batched_muon import BatchedMuon
from training.loop.losses import matching, supervised
from training.loop.optimizer import learning_rate, make_optimizers
from training.loop.run import MOST_SKIPPED, Run

# steps taken one launch at a time, before the graph is recorded, while cuDNN tries its kernels
WARM_UP_STEPS = 4
# how often the host asks the device how many steps were skipped, which waits for the device
SETTLE_EVERY_STEPS = 20


class DeviceRun(Run):
    """
    The same training as ``Run``, up to rounding.

    Whether a step is skipped is decided on the device, and known on the host every
    ``SETTLE_EVERY_STEPS`` steps. Checkpoints are those of ``Run``, and each goes on from the
    other's. Not for fp16, whose scaler waits for the device at every step.
    """

    def __init__(
        self,
        config: Config,
        device: torch.device,
        checkpoint: Path | None = None,
        *,
        graph: bool = True,
        compiled: bool = False,
    ) -> None:
        """
        Start as ``Run`` does.

        :param graph: replay a step as one CUDA graph where there is CUDA, and one process.
        :param compiled: have torch.compile fuse the network and its losses, which takes a minute.
        """
        super().__init__(config, device, checkpoint)
        self._rate = torch.zeros((), device=device)
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group['lr'] = self._rate
                if 'capturable' in group:
                    group['capturable'] = device.type == 'cuda'
        self._weights: list[Tensor] = list(self.network.parameters())
        self._averages: list[Tensor] = list(self.average.module.parameters())
        # steps skipped, those in a row, and the longest row
        self._counts = torch.tensor(
            [self.skipped, self.skipped_in_a_row, 0], dtype=torch.int64, device=device
        )
        self._forward = torch.compile(self._losses) if compiled else self._losses
        self._recordable = (
            graph and device.type == 'cuda' and not torch.distributed.is_initialized()
        )
        self._first = self.step
        self._graph: torch.cuda.CUDAGraph | None = None
        if device.type == 'cuda':
            torch.backends.cudnn.benchmark = True
            self._side = torch.cuda.Stream(device)

    @property
    def records_graph(self) -> bool:
        """Whether steps are replayed as one CUDA graph, after the first ones."""
        return self._recordable

    def learn(self, batch: Batch) -> Tensor:
        """
        Start one step; on a GPU, do not wait for its end.

        :returns: the supervised loss and L_match, float32 [2], on the device.
        :raises RunError: as ``Run.learn`` does, up to ``SETTLE_EVERY_STEPS`` steps later.
        """
        batch = _each(batch, lambda part: part.to(self.device, non_blocking=True))
        self._rate.fill_(learning_rate(self.config, self.step))
        if not self._recordable:
            losses = self._step(batch)
        elif self.step < self._first + WARM_UP_STEPS:
            losses = self._beside(batch)
        else:
            losses = self._replay(batch)
        self.step += 1
        if self.step % SETTLE_EVERY_STEPS == 0:
            self.settle()
        return losses

    def settle(self) -> None:
        """
        Wait for the device, and learn what was skipped.

        :raises RunError: too many steps in a row were.
        """
        self.skipped, self.skipped_in_a_row, longest = self._counts.tolist()
        if longest >= MOST_SKIPPED:
            raise RunError(self.not_finite())

    def checkpoint(self) -> bytes:
        """Return everything that going on takes; raises as ``settle`` does."""
        self.settle()
        return super().checkpoint()

    def make_optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return make_optimizers(self.config, self.network, BatchedMuon)

    def derain(self, image: np.ndarray) -> np.ndarray:
        """De-rain an image as ``Run`` does; images of many sizes are not worth trying kernels."""
        torch.backends.cudnn.benchmark = False
        try:
            return super().derain(image)
        finally:
            torch.backends.cudnn.benchmark = self.device.type == 'cuda'

    def _beside(self, batch: Batch) -> Tensor:
        """Take a step on a stream of its own, as recording a graph demands of those before it."""
        self._side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._side):
            losses = self._step(batch)
        torch.cuda.current_stream().wait_stream(self._side)
        return losses

    def _replay(self, batch: Batch) -> Tensor:
        if self._graph is None:
            self._static = _each(batch, torch.clone)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                self._static_losses = self._step(self._static)
            self._graph = graph
        for static, part in zip(self._static, batch):
            if static is not None and part is not None:
                static.copy_(part)
        self._graph.replay()
        return self._static_losses.clone()

    def _step(self, batch: Batch) -> Tensor:
        self.network.zero_grad(set_to_none=True)
        supervision, match = self._forward(*batch)
        (supervision + self.config.matching * match).backward()
        norm = nn.utils.clip_grad_norm_(self._weights, self.config.clip)
        self._move(torch.isfinite(norm))
        return torch.stack([supervision.detach(), match.detach()])

    def _losses(self, rainy: Tensor, clean: Tensor, real: Tensor | None) -> tuple[Tensor, Tensor]:
        with self.autocast():
            output, features, real_features = self.branches(rainy, real)
        supervision = supervised(self.config.loss, output.float(), clean)
        match = (
            supervision.new_zeros(())
            if real_features is None
            else matching(features, real_features, self.config.normalise_matching)
        )
        return supervision, match

    @torch.no_grad()
    def _move(self, finite: Tensor) -> None:
        """Move weights and averages where the gradients are finite, and count where not."""
        for optimizer in self.optimizers.values():
            optimizer.found_inf = 1.0 - finite.float()  # type: ignore[attr-defined]
            optimizer.step()
        first = self.average.n_averaged == 0
        share = torch.where(first, 1.0, 1.0 - self.config.ema) * finite
        steps = list(torch._foreach_sub(self._weights, self._averages))
        torch._foreach_mul_(steps, share)
        torch._foreach_add_(self._averages, steps)
        self.average.n_averaged += finite
        skipped, row, longest = self._counts.unbind()
        skipped += ~finite
        row.copy_(torch.where(finite, 0, row + 1))
        longest.copy_(torch.maximum(longest, row))


def _each(batch: Batch, change: Callable[[Tensor], Tensor]) -> Batch:
    """Return a batch with each of its tensors changed."""
    real = None if batch.real is None else change(batch.real)
    return Batch(change(batch.rainy), change(batch.clean), real)
