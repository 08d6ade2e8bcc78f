"""The page of a run: fates, rain over time of each stream, and frames before and after."""

from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from derain_ros.media.gallery import write_report
from derain_ros.offline.report import Outcome, Stream
from derain_ros.stream.fates import Fate

# a curve has so many points at most
POINTS = 400


def write_page(folder: Path, outcomes: list[Outcome], result: dict[str, Any]) -> None:
    """
    Write ``index.html``, its images and its clips, which are opened from disk.

    :param result: of ``summary``.
    """
    streams = [(outcome, stream) for outcome in outcomes for stream in outcome.streams]
    lines = [line for outcome in outcomes for line in outcome.problems + outcome.notes]
    parts = [
        f'<p>{escape(result["model"])} on {result["engine"]} ({result["precision"]}): '
        f'{result["frames"]} frames of {result["inputs"]} inputs in {result["seconds"]} s.</p>',
        _table(streams),
        *(f'<p class="problem">{escape(line)}</p>' for line in lines),
        *(_curve(outcome, stream) for outcome, stream in streams if len(stream.rain) > 1),
    ]
    shown = [stream.showcase for _, stream in streams if stream.showcase is not None]
    shots = [shot for showcase in shown for shot in showcase.shots]
    clips = {}
    folder.mkdir(parents=True, exist_ok=True)
    for number, showcase in enumerate(shown):
        if clip := showcase.clip():
            clips[f'{number:04}.mp4'] = showcase.name
            (folder / f'{number:04}.mp4').write_bytes(clip)
    write_report(folder, shots, '\n'.join(part for part in parts if part), clips)


def _table(streams: list[tuple[Outcome, Stream]]) -> str:
    """Return the frames and fates of each stream."""
    fates = (Fate.DERAINED, Fate.PASSED_THROUGH)
    titles = ['input', 'stream', *(fate.value.replace('_', ' ') for fate in fates), 'rain']
    rows = [
        [
            outcome.source,
            stream.name,
            *(str(stream.fates.get(fate, 0)) for fate in fates),
            f'{np.mean(stream.rain):.1%}' if stream.rain else '',
        ]
        for outcome, stream in streams
    ]
    head = ''.join(f'<th>{title}</th>' for title in titles)
    body = ''.join(
        '<tr>' + ''.join(f'<td>{escape(cell)}</td>' for cell in row) + '</tr>\n' for row in rows
    )
    return f'<table>\n<tr>{head}</tr>\n{body}</table>'


def _curve(outcome: Outcome, stream: Stream) -> str:
    """Return the rain of a stream over its time, as a picture that needs no script."""
    order = np.argsort(stream.times_s, kind='stable')
    times, rain = np.array(stream.times_s)[order], np.array(stream.rain)[order]
    count = min(POINTS, len(rain))
    times, rain = (
        np.array([part.mean() for part in np.array_split(values, count)])
        for values in (times, rain)
    )
    length, most = max(float(times[-1] - times[0]), 1e-9), max(float(rain.max()), 0.01)
    points = ' '.join(
        f'{1000 * (time - times[0]) / length:.1f},{100 - 95 * share / most:.1f}'
        for time, share in zip(times, rain)
    )
    name = escape(f'{outcome.source} {stream.name}')
    return (
        f'<h2>{name}</h2>\n<p>Share of the pixels that lost a streak, up to {most:.1%}, over '
        f'{length:.1f} s.</p>\n<svg viewBox="0 0 1000 100" preserveAspectRatio="none" role="img" '
        f'aria-label="rain over time of {name}"><polyline points="{points}"/></svg>'
    )
