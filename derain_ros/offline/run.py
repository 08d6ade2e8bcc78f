"""De-rains a list of inputs, and says how far it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
import time

from tqdm import tqdm

from derain_ros.offline.bags import derain_bag
from derain_ros.offline.images import derain_images
from derain_ros.offline.items import Item
from derain_ros.offline.job import Job
from derain_ros.offline.report import failed, Outcome
from derain_ros.offline.videos import derain_video


def derain_items(items: list[Item], job: Job) -> Iterator[Outcome]:
    """
    De-rain inputs, with a bar of how many bytes of them are done.

    :returns: one outcome each, in order; an error of an input is in its outcome.
    """
    sizes = [item.size_bytes for item in items]
    with tqdm(
        total=sum(sizes), unit='B', unit_scale=True, mininterval=1, disable=None, smoothing=0.05
    ) as bar:
        done, last = 0, time.monotonic()
        for kind, group in groupby(items, lambda item: item.kind):
            for item in (members := list(group)):
                item.target.parent.mkdir(parents=True, exist_ok=True)
            outcomes = (
                _images(members, job)
                if kind == 'image'
                else (_one(item, _advancing(job, bar, item)) for item in members)
            )
            for item, outcome in zip(members, outcomes):
                done += item.size_bytes
                bar.update(done - bar.n)
                outcome.seconds, last = time.monotonic() - last, time.monotonic()
                yield outcome


def _images(items: list[Item], job: Job) -> Iterator[Outcome]:
    return derain_images([(item.source, item.target) for item in items], job)


def _advancing(job: Job, bar: tqdm, item: Item) -> Job:
    """Return a job that moves a bar by what is done of an item."""
    end = bar.n + item.size_bytes
    return replace(
        job, advance=lambda share: bar.update(min(share * item.size_bytes, end - bar.n))
    )


def _one(item: Item, job: Job) -> Outcome:
    """De-rain a video or a recording; an error is in the outcome."""
    derain = derain_bag if item.kind == 'bag' else derain_video
    try:
        return derain(item.source, item.target, job)
    except Exception as error:  # of whatever kind: one input must not end the others
        return failed(item.source, item.target, error)
