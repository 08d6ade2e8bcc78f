"""A run: the network, one step of its training, and all that resuming takes."""

from dataclasses import asdict, fields
import math
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import save
import torch
from torch import nn, Tensor
import torch.distributed
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from derain_ros.model.network import DerainNetwork
from training.configuration import Config, make_config
from training.data.batches import Batch
from training.errors import ConfigError, RunError
from training.loop.checkpoints import read_checkpoint, serialize, start_network, WAY_OUT
from training.loop.device import FORMATS, usable_precision
from training.loop.losses import matching, supervised
from training.loop.optimizer import check_state, learning_rate, make_optimizers
from training.loop.teacher import taught_pairs

MOST_SKIPPED = 10
COUNTS = {'step': int, 'best': float, 'skipped': int, 'skipped_in_a_row': int}
# keys of an experiment that may change between a run and its resumption
MAY_CHANGE = {'steps', 'batch', 'workers', 'validate_every', 'checkpoint_every'}


class Branches(nn.Module):
    """The paper's two branches: synthetic rain to the end, real rain only to F."""

    def __init__(self, network: DerainNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, rainy: Tensor, real: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return the de-rained images, and F of both; crops are never padded."""
        features = self.network.matched_features(rainy)
        output = self.network.converted(features)
        return (
            rainy - output if self.network.shape.residual else output,
            features,
            None if real is None else self.network.matched_features(real),
        )


class Run:
    """One experiment in training: all that a checkpoint holds."""

    def __init__(
        self, config: Config, device: torch.device, checkpoint: Path | None = None
    ) -> None:
        """
        Start at step 0, with weights that depend on the seed alone or those to start from.

        :param checkpoint: go on from it instead.
        :raises RunError: the weights are missing or of another shape; the checkpoint is of
            another experiment, took other steps, or more of them.
        """
        torch.manual_seed(config.seed)
        self.config, self.device = config, device
        self.crops = config.batch * (
            torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1
        )
        self.precision = usable_precision(config.precision, device)
        self.step, self.best = 0, -math.inf
        self.skipped, self.skipped_in_a_row = 0, 0
        network = start_network(config) if checkpoint is None else DerainNetwork(config.shape)
        self.network = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        # with its count of steps on the device, where a step that nobody waits for moves it
        self.average = AveragedModel(
            self.network, device, multi_avg_fn=get_ema_multi_avg_fn(config.ema)
        )
        self.optimizers = self.make_optimizers()
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.precision == 'fp16')
        self.branches: nn.Module = Branches(self.network)
        if torch.distributed.is_initialized():
            self.branches = DistributedDataParallel(
                self.branches, device_ids=[device.index] if device.type == 'cuda' else None
            )
        if checkpoint is not None:
            self._resume(checkpoint)

    def make_optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Make the optimizers that move the network."""
        return make_optimizers(self.config, self.network)

    @property
    def _parts(self) -> dict[str, Any]:
        return {
            'network': self.network,
            'average': self.average,
            'scaler': self.scaler,
            **self.optimizers,
        }

    def autocast(self) -> torch.autocast:
        """Compute in the precision of the experiment, where the device has it."""
        return torch.autocast(
            self.device.type, FORMATS[self.precision], enabled=self.precision != 'float32'
        )

    def learn(self, batch: Batch) -> Tensor:
        """
        Take one step.

        :returns: the supervised loss and L_match, float32 [2], on the device.
        :raises RunError: the loss, or its gradient, was not finite too many times in a row.
        """
        rainy = batch.rainy.to(self.device, non_blocking=True)
        clean = batch.clean.to(self.device, non_blocking=True)
        real = None if batch.real is None else batch.real.to(self.device, non_blocking=True)
        with self.autocast():
            if real is not None and self.config.teacher > 0:
                taught = real[: math.ceil(self.config.teacher * len(real))]
                pairs = taught_pairs(self.average.module, taught)
                rainy, clean = (torch.cat(both) for both in zip((rainy, clean), pairs))
            output, features, real_features = self.branches(rainy, real)
        supervision = supervised(self.config.loss, output.float(), clean)
        match = (
            supervision.new_zeros(())
            if real_features is None
            else matching(
                features[: len(batch.rainy)], real_features, self.config.normalise_matching
            )
        )
        self.network.zero_grad(set_to_none=False)
        self.scaler.scale(supervision + self.config.matching * match).backward()
        for optimizer in self.optimizers.values():
            self.scaler.unscale_(optimizer)
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip)
        # gradients are the same on all processes, so they all skip or none
        self._update(skip=not torch.isfinite(norm))
        return torch.stack([supervision.detach(), match.detach()])

    def _update(self, skip: bool) -> None:
        """Move the weights, unless this step is skipped, and count it."""
        if skip:
            self.skipped += 1
            self.skipped_in_a_row += 1
        else:
            for optimizer in self.optimizers.values():
                for group in optimizer.param_groups:
                    group['lr'] = learning_rate(self.config, self.step)
                self.scaler.step(optimizer)
            self.average.update_parameters(self.network)
            self.skipped_in_a_row = 0
        self.scaler.update()
        self.step += 1
        if self.skipped_in_a_row == MOST_SKIPPED:
            raise RunError(self.not_finite())

    def not_finite(self) -> str:
        """Return what to say where too many steps in a row were skipped."""
        return (
            f'step {self.step}: the loss was not finite {MOST_SKIPPED} times in a '
            'row; train into another --out with a smaller learning_rate or in '
            'another precision; start may name last.safetensors'
        )

    def derain(self, image: np.ndarray) -> np.ndarray:
        """De-rain a uint8 RGB image [H, W, 3] with the averaged weights."""
        rainy = torch.from_numpy(image).to(self.device).permute(2, 0, 1)[None].float() / 255
        with torch.inference_mode(), self.autocast():
            output = self.average.module(rainy.contiguous(memory_format=torch.channels_last))
        grey = (output.float().clamp(0, 1) * 255).round().to(torch.uint8)
        return grey[0].permute(1, 2, 0).cpu().numpy()

    def checkpoint(self) -> bytes:
        """Return everything that going on takes."""
        return serialize(
            {name: part.state_dict() for name, part in self._parts.items()}
            | {name: getattr(self, name) for name in COUNTS}
            | {'config': asdict(self.config), 'crops': self.crops}
        )

    def weights(self) -> bytes:
        """Return the averaged weights as a safetensors file that names its shape."""
        return save(
            {
                name: tensor.contiguous()
                for name, tensor in self.average.module.state_dict().items()
            },
            {'shape': self.config.shape.to_json()},
        )

    def _resume(self, checkpoint: Path) -> None:
        state = read_checkpoint(checkpoint, self.device)
        try:
            self._check_experiment(checkpoint, state)
            for name, part in self._parts.items():
                # a scaler that was not needed has nothing to say
                if state[name] or part is not self.scaler:
                    part.load_state_dict(state[name])
            for name, kind in COUNTS.items():
                setattr(self, name, kind(state[name]))
            if min(self.step, self.skipped, self.skipped_in_a_row) < 0:
                raise ValueError('a count is below zero')
            if self.step > self.skipped:
                for optimizer in self.optimizers.values():
                    check_state(optimizer)
        # what torch raises where keys are missing, or tensors of another shape or type
        except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            reason = f'misses {error}' if isinstance(error, KeyError) else f'{error}'
            raise RunError(
                f'{checkpoint}: damaged, or of another version ({" ".join(reason.split())}); '
                f'{WAY_OUT}'
            ) from error

    def _check_experiment(self, checkpoint: Path, state: dict[str, Any]) -> None:
        """Raise RunError where a checkpoint cannot be gone on from in this experiment."""
        try:
            # keys that are newer than the checkpoint have their defaults
            trained = make_config(state['config'], f'{checkpoint}')
        except ConfigError as error:
            raise RunError(f'{error}; {WAY_OUT}') from error
        changed = [
            item.name
            for item in fields(Config)
            if item.name not in MAY_CHANGE
            and getattr(trained, item.name) != getattr(self.config, item.name)
        ]
        if changed:
            raise RunError(
                f'{checkpoint}: is of an experiment with another {", ".join(changed)}; '
                'undo that, or train into another --out'
            )
        if state['crops'] != self.crops:
            raise RunError(
                f'{checkpoint}: its steps are of {state["crops"]} crops, and these '
                f'would be of {self.crops}: batch times the processes of torchrun; '
                'change either, or train into another --out'
            )
        if state['step'] > self.config.steps:
            raise RunError(
                f'{checkpoint}: has trained {state["step"]} steps, more than steps: '
                f'{self.config.steps}; train into another --out'
            )
