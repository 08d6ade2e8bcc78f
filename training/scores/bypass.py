"""What the rain gate of the node sees in rainy and dry scenes, and how often it is wrong."""

from dataclasses import dataclass, replace

import numpy as np

from derain_ros.stream.batch import bounded
from derain_ros.stream.inspection import Inspector
from training.data.weather import Kind
from training.scores.evaluation import Derain
from training.scores.metrics import psnr

# *inferred*: below it de-raining is not worth a mistake
LEAST_GAIN_DB = 0.3
BOUNDS = (64, 32, 16)  # grey levels


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """
    What was measured of the scenes of one kind.

    :param rain: rain number of each scene, [N].
    :param gain_db: PSNR (RGB) that de-raining adds to each; None where the truth is not known,
        or the scenes are dry.
    :param bounded_db: what is lost of it with ``max_change`` of each of BOUNDS, [N, B]; as above.
    """

    kind: Kind
    rain: np.ndarray
    gain_db: np.ndarray | None = None
    bounded_db: np.ndarray | None = None

    def half(self, number: int) -> 'Numbers':
        """Return the first (0) or the second (1) half of the scenes, in their order."""
        middle = len(self.rain) // 2
        scenes = slice(middle, None) if number else slice(middle)
        gain, bounds = (
            None if values is None else values[scenes]
            for values in (self.gain_db, self.bounded_db)
        )
        return replace(self, rain=self.rain[scenes], gain_db=gain, bounded_db=bounds)

    def wrong(self, threshold: float) -> np.ndarray:
        """Return of each scene whether the gate is wrong about it at a threshold, bool [N]."""
        return self.rain <= threshold if self.kind.is_rainy else self.rain > threshold

    def worth(self) -> np.ndarray:
        """
        Return what de-raining makes of each scene, [N], 1 on average; 0 if it is not worth it.

        Each is worth the same where nobody knows.
        """
        if self.gain_db is None:
            return np.ones(len(self.rain))
        if self.gain_db.mean() < LEAST_GAIN_DB:
            return np.zeros(len(self.rain))
        gains = np.maximum(self.gain_db, 0.0)
        return gains / gains.mean()


def measure(derain: Derain, kind: Kind) -> Numbers:
    """De-rain the scenes of one kind; ``derain`` takes and gives uint8 [H, W, 3]."""
    rain, gains, losses = [], [], []
    for scene in kind.read():
        output = derain(scene.rainy)
        rain.append(Inspector().inspect(scene.rainy, output).rain)
        if kind.is_rainy and scene.truth is not None:
            after = psnr(output, scene.truth)
            gains.append(after - psnr(scene.rainy, scene.truth))
            outputs = (bounded(scene.rainy, output, levels) for levels in BOUNDS)
            losses.append([after - psnr(image, scene.truth) for image in outputs])
    return Numbers(
        kind=kind,
        rain=np.array(rain),
        gain_db=np.array(gains) if gains else None,
        bounded_db=np.array(losses) if losses else None,
    )
