"""What a run shows of itself: losses as it goes, scores and pictures every so often."""
from __future__ import annotations

import math
from typing import TYPE_CHECKING

from dataset import Data
from metrics import luma, psnr
import numpy as np
from optimizer import learning_rate
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

if TYPE_CHECKING:
    from train import Run


def report(run: Run, terms: list[float], board: SummaryWriter, progress: tqdm) -> None:
    """Show the mean of the loss terms since the last report."""
    supervision, match = terms
    progress.set_postfix(supervised=f'{supervision:.4f}', match=f'{match:.4f}',
                         skipped=run.skipped)
    for name, value in (('supervised', supervision), ('match', match)):
        board.add_scalar(f'loss/{name}', value, run.step)
    board.add_scalar('learning_rate', learning_rate(run.config, run.step - 1), run.step)
    if progress.format_dict['rate']:
        board.add_scalar('images_per_second', progress.format_dict['rate'] * progress.unit_scale,
                         run.step)


def validate(run: Run, data: Data, board: SummaryWriter, progress: tqdm) -> float:
    """
    Score every validation set on whole images, 8-bit output, and show a picture of each.

    :returns: the mean over the sets of PSNR (Y) in dB; -inf where there is none.
    """
    means = {}
    for name, pairs in data.validation.items():
        outputs = [run.derain(pair.rainy) for pair in pairs]
        means[name] = float(np.mean([psnr(luma(output), luma(pair.clean))
                                     for output, pair in zip(outputs, pairs)]))
        board.add_scalar(f'psnr_y/{name}', means[name], run.step)
        board.add_image(name, np.hstack([pairs[0].rainy, outputs[0], pairs[0].clean]), run.step,
                        dataformats='HWC')
    for name, rainy in data.pictures.items():
        board.add_image(name, np.hstack([rainy, run.derain(rainy)]), run.step, dataformats='HWC')
    board.flush()
    if not means:
        return -math.inf
    progress.write(f'{run.step}: PSNR (Y) '
                   + ', '.join(f'{name} {value:.2f} dB' for name, value in means.items()))
    return float(np.mean(list(means.values())))
