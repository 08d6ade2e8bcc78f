"""What the trainings of a study are worth: one row each, and one table of all."""

from dataclasses import dataclass
from pathlib import Path
import statistics
import time

import numpy as np

from training.configuration import Config
from training.data.scenes import numbered, Scene
from training.data.stills import Still
from training.scores.evaluation import evaluate, open_derainer, summarize
from training.scores.gate import dry_change
from training.scores.stills import score_still

TIMED_FRAME = (720, 1280, 3)
TIMED_RUNS = 5
# of a row, before its scores
KEYS = ('arm', 'seed', 'left_out', 'minutes', 'steps')


@dataclass(frozen=True)
class Sets:
    """
    What is scored.

    :param pairs, stills: by the name of the column.
    :param dry: video that should stay as it is.
    """

    pairs: dict[str, list[Scene]]
    stills: dict[str, Still]
    dry: Path | None

    @property
    def columns(self) -> list[str]:
        """The names of the scores in a row."""
        return [*self.pairs, *self.stills, *(['dry'] if self.dry else []), 'ms']


def held_out(scenes: list[Scene], config: Config) -> list[Scene]:
    """Return the scenes that the experiment does not train on."""
    return numbered(scenes, *config.validation)


def score(sets: Sets, config: Config, cameras: list[str], weights: Path) -> dict[str, float | str]:
    """
    Score weights: pairs by PSNR (Y), cameras by its gain, dry frames by their change.

    :param cameras: names of the stills to score; the others are left empty.
    :returns: dB, grey levels, and ``ms`` of a frame.
    """
    values: dict[str, float | str] = dict.fromkeys(sets.columns, '')
    with open_derainer(str(weights)) as derain:
        for name, scenes in sets.pairs.items():
            rows = [row for _, _, row in evaluate(derain, held_out(scenes, config))]
            values[name] = summarize(rows)['mean']['psnr_y']
        for name in cameras:
            values[name] = score_still(sets.stills[name], derain).gain
        if sets.dry:
            values['dry'] = dry_change(derain, sets.dry)
        frame = np.random.default_rng(0).integers(0, 256, TIMED_FRAME, np.uint8)
        times_s = []
        for _ in range(TIMED_RUNS + 1):
            start = time.perf_counter()
            derain(frame)
            times_s.append(time.perf_counter() - start)
    return values | {'ms': statistics.median(times_s[1:]) * 1e3}


def table(rows: list[dict], cameras: list[str]) -> str:
    """
    Return a Markdown table of the arms: mean over the seeds ± standard deviation.

    Where an arm was trained several times with one seed, each with another camera left out, what
    counts for the seed is their mean.

    :param rows: of scores.csv.
    :param cameras: their columns, which get two more: the mean gain, and that of the worst.
    """
    columns = [name for name in rows[0] if name not in KEYS or name == 'steps']
    titles = [*columns, *(['cameras, mean', 'cameras, worst'] if cameras else [])]
    lines = ['| ' + ' | '.join(['arm', 'seeds', *titles]) + ' |']
    lines.append('|---' * (len(titles) + 2) + '|')
    for arm in dict.fromkeys(row['arm'] for row in rows):
        by_seed: dict[str, list[dict]] = {}
        for row in rows:
            if row['arm'] == arm:
                by_seed.setdefault(str(row['seed']), []).append(row)
        seeds = [_of_seed(of_seed, columns, cameras) for of_seed in by_seed.values()]
        cells = [_cell([seed[title] for seed in seeds if title in seed]) for title in titles]
        lines.append(f'| {arm} | {len(seeds)} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines) + '\n'


def _of_seed(rows: list[dict], columns: list[str], cameras: list[str]) -> dict[str, float]:
    """Return the mean of each column over the trainings that have a value there."""
    means = {}
    for column in columns:
        values = [float(row[column]) for row in rows if row[column] != '']
        if values:
            means[column] = statistics.mean(values)
    gains = [means[camera] for camera in cameras if camera in means]
    if gains:
        means |= {'cameras, mean': statistics.mean(gains), 'cameras, worst': min(gains)}
    return means


def _cell(values: list[float]) -> str:
    if not values:
        return '–'
    spread = f' ± {statistics.stdev(values):.2f}' if len(values) > 1 else ''
    return f'{statistics.mean(values):.2f}{spread}'
