"""What a run shows of itself: losses as it goes, scores and pictures every so often."""

import math
from pathlib import Path

import numpy as np
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from training.data.dataset import Data
from training.loop.optimizer import learning_rate
from training.loop.run import Run
from training.scores.metrics import luma, psnr


class Board:
    """TensorBoard of a run, which goes on where a full disk stops TensorBoard."""

    def __init__(self, folder: Path, step: int, progress: tqdm) -> None:
        """
        Write nothing until there is something to show.

        :param step: what was shown beyond it is forgotten: the run has come from there again.
        """
        self._folder, self._step, self._progress = folder, step, progress
        self._writer: SummaryWriter | None = None
        self._failed = False

    def show(
        self, step: int, scalars: dict[str, float], pictures: dict[str, np.ndarray] | None = None
    ) -> None:
        """
        Show values and uint8 pictures [H, W, 3].

        What cannot be written is said and lost, and so are values until the next pictures: each
        attempt leaves a file of its own.
        """
        if self._failed and pictures is None:
            return
        try:
            if self._writer is None:
                # TensorBoard drops what is logged from purge_step on
                self._writer = SummaryWriter(self._folder, purge_step=self._step + 1)
            for name, value in scalars.items():
                self._writer.add_scalar(name, value, step)
            for name, picture in (pictures or {}).items():
                self._writer.add_image(name, picture, step, dataformats='HWC')
            self._writer.flush()
            self._step, self._failed = step, False
        except OSError as error:
            self._progress.write(
                f'{self._folder}: step {step} is not shown ({error}); '
                'make room while training goes on'
            )
            # a writer that failed once fails for ever
            self._writer, self._failed = None, True

    def close(self) -> None:
        """Let go of the file, which holds all that was shown."""
        if self._writer is not None:
            self._writer.close()


def report(run: Run, terms: list[float], board: Board, progress: tqdm) -> None:
    """Show the mean of the loss terms since the last report."""
    supervision, match = terms
    progress.set_postfix(
        supervised=f'{supervision:.4f}', match=f'{match:.4f}', skipped=run.skipped
    )
    scalars = {
        'loss/supervised': supervision,
        'loss/match': match,
        'learning_rate': learning_rate(run.config, run.step - 1),
    }
    if progress.format_dict['rate']:
        scalars['images_per_second'] = progress.format_dict['rate'] * progress.unit_scale
    board.show(run.step, scalars)


def validate(run: Run, data: Data, board: Board, progress: tqdm) -> float:
    """
    Score every validation set on whole images, 8-bit output, and show a picture of each.

    :returns: the mean over the sets of PSNR (Y) in dB; -inf where there is none. A pair that
        comes out identical counts nowhere: its score is infinite, and no other would be better.
    """
    means, pictures = {}, {}
    for name, pairs in data.validation.items():
        outputs = [run.derain(pair.rainy) for pair in pairs]
        finite = [
            score
            for output, pair in zip(outputs, pairs)
            if math.isfinite(score := psnr(luma(output), luma(pair.clean)))
        ]
        if finite:
            means[name] = float(np.mean(finite))
        pictures[name] = np.hstack([pairs[0].rainy, outputs[0], pairs[0].clean])
    for name, rainy in data.pictures.items():
        pictures[name] = np.hstack([rainy, run.derain(rainy)])
    board.show(run.step, {f'psnr_y/{name}': mean for name, mean in means.items()}, pictures)
    if not means:
        return -math.inf
    progress.write(
        f'{run.step}: PSNR (Y) '
        + ', '.join(f'{name} {value:.2f} dB' for name, value in means.items())
    )
    return float(np.mean(list(means.values())))
