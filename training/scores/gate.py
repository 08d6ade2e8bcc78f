"""The gate for released weights: no clip of real rain comes out worse, and dry frames stay."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from derain_ros.errors import DataError
from derain_ros.media.videos import video_frames
from training.data.stills import make_still, Still, WINDOW
from training.errors import GateError
from training.scores.evaluation import Derain, none_for_infinite
from training.scores.stills import score_still, StillScore

LARGEST_LOSS_DB = 0.1
LARGEST_DRY_CHANGE = 0.05  # grey levels


def split_clip(text: str) -> tuple[Path, int]:
    """Return the path of a clip, PATH or PATH@FIRST, and the number of its first frame."""
    path, separator, first = text.rpartition('@')
    if not separator or not first.isdigit():
        return Path(text), 0
    return Path(path), int(first)


def read_clip(text: str) -> Still:
    """
    Read a clip: PATH, or PATH@FIRST.

    :raises DataError: the video is missing or unreadable, or shorter than that.
    """
    path, first = split_clip(text)
    window = list(islice(video_frames(path), first, first + WINDOW))
    if len(window) < WINDOW:
        raise DataError(
            f'{path}: has {len(window)} frames from number {first} on, and a median takes '
            f'{WINDOW}; choose a longer clip or an earlier frame'
        )
    return make_still(path.stem, np.stack(window))


def dry_change(derain: Derain, video: Path) -> float:
    """Return by how many grey levels a network changes the frames of a dry video, on average."""
    changes = [cv2.absdiff(frame, derain(frame)).mean() for frame in video_frames(video)]
    return float(np.mean(changes))


@dataclass(frozen=True)
class Result:
    """
    What the gate looks at.

    :param clips: the score of each clip, by name.
    :param dry_change: of dry frames, in grey levels; None where there were none.
    """

    clips: dict[str, StillScore]
    dry_change: float | None

    def problems(self) -> list[str]:
        """Return what keeps weights from being released; nothing where they pass."""
        found = [
            f'{name} comes out {score.gain:+.2f} dB; {-LARGEST_LOSS_DB:+.1f} dB are allowed'
            for name, score in self.clips.items()
            if not score.gain >= -LARGEST_LOSS_DB
        ]
        if self.dry_change is not None and not self.dry_change <= LARGEST_DRY_CHANGE:
            found.append(
                f'dry frames change by {self.dry_change:.3f} grey levels; '
                f'{LARGEST_DRY_CHANGE} are allowed'
            )
        return found

    def check(self, weights: str) -> None:
        """
        Let weights pass.

        :raises GateError: a clip comes out worse than it went in, or dry frames change.
        """
        if found := self.problems():
            raise GateError(f'{weights}: not to be released: {"; ".join(found)}')

    def to_json(self) -> dict:
        """Return the result as --json writes it."""
        clips = {name: none_for_infinite(asdict(score)) for name, score in self.clips.items()}
        return {'clips': clips, 'dry_change': self.dry_change, 'problems': self.problems()}


def evaluate_stills(derain: Derain, clips: Sequence[str], dry: Path | None) -> Result:
    """
    Score each clip, by the name of its file, and dry frames.

    :param derain: a ``Derainer`` of RGB images, or another function of uint8 [H, W, 3].
    :param clips: PATH, or PATH@FIRST.
    :raises DataError: a clip cannot be read, is too short, or has the name of another; the dry
        frames cannot be read.
    """
    scores: dict[str, StillScore] = {}
    for clip in clips:
        still = read_clip(clip)
        if still.name in scores:
            raise DataError(f'{clip}: another clip is called {still.name}; rename one of them')
        scores[still.name] = score_still(still, derain)
    return Result(scores, dry_change(derain, dry) if dry else None)
