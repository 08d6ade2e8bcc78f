"""What a run shows of itself: losses as it goes, scores and pictures every so often."""

from contextlib import suppress
from io import BytesIO
import math
import os
from pathlib import Path
import socket
import time

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard import summary
from tqdm import tqdm

from training.data.dataset import Data
from training.loop.optimizer import learning_rate
from training.loop.run import Run
from training.scores.metrics import luma, psnr


class Board:
    """
    TensorBoard of a run.

    Events are appended in the calling thread: the thread of torch's SummaryWriter ends, with a
    traceback, where the disk is full for a moment.
    """

    def __init__(self, folder: Path, step: int, progress: tqdm) -> None:
        """
        Write nothing until there is something to show.

        :param step: what was shown beyond it is forgotten: the run has come from there again.
        """
        name = f'events.out.tfevents.{time.time_ns()}.{socket.gethostname()}.{os.getpid()}'
        self._path, self._progress = folder / name, progress
        # TensorBoard forgets what older files say of the steps from this one on
        self._pending = [
            Event(file_version='brain.Event:2'),
            Event(step=step + 1, session_log=SessionLog(status=SessionLog.START)),
        ]
        self._failed = False

    def show(
        self, step: int, scalars: dict[str, float], pictures: dict[str, np.ndarray] | None = None
    ) -> None:
        """
        Show values and uint8 pictures [H, W, 3].

        What cannot be written is lost, which is said once until writing succeeds again.
        """
        shown = [summary.scalar(name, value) for name, value in scalars.items()]
        shown += [
            summary.image(name, picture, dataformats='HWC')
            for name, picture in (pictures or {}).items()
        ]
        try:
            self._append(self._pending + [Event(step=step, summary=item) for item in shown])
            self._pending, self._failed = [], False
        except OSError as error:
            if not self._failed:
                self._progress.write(
                    f'{self._path.parent}: step {step} is not shown ({error}); '
                    'make room while training goes on'
                )
            self._failed = True

    def _append(self, events: list[Event]) -> None:
        """Add events to the file; where that fails it is left as it was."""
        records, now = BytesIO(), time.time()
        writer = RecordWriter(records)
        for event in events:
            event.wall_time = now
            writer.write(event.SerializeToString())
        self._path.parent.mkdir(parents=True, exist_ok=True)
        size = self._path.stat().st_size if self._path.exists() else 0
        try:
            with self._path.open('ab') as file:
                file.write(records.getvalue())
        except OSError:
            with suppress(OSError):
                os.truncate(self._path, size)  # half a record would hide all after it
            raise


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
