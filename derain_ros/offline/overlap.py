"""Decoding, inference and encoding at the same time, results in the order of the inputs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from typing import TypeVar

Item = TypeVar('Item')
Decoded = TypeVar('Decoded')
Inferred = TypeVar('Inferred')
Encoded = TypeVar('Encoded')

# So many items may wait behind a frame that is in work, whatever they are.
LONGEST_QUEUE = 64


def overlapped(
    items: Iterator[Item],
    decode: Callable[[Item], Decoded],
    infer: Callable[[Decoded], Inferred],
    encode: Callable[[Inferred], Encoded],
    *,
    jobs: int,
    is_frame: Callable[[Item], bool] = lambda item: True,
) -> Iterator[tuple[Item, Future[Encoded] | None]]:
    """
    Take each frame through three stages, and return it with its result, in order.

    Inference runs in one thread, in the order of the items, so that a model with memory may be
    used. Decoding and encoding have ``jobs`` threads each.

    :param items: read no further ahead than the frames in work need.
    :param is_frame: says which items go through the stages; the others keep their place.
    :returns: pairs of an item and its result, which raises what a stage raised; None for an
        item that is no frame.
    """
    waiting: deque[tuple[Item, Future[Encoded] | None]] = deque()
    frames = 0
    with ExitStack() as stack:
        decoders, engine, encoders = (ThreadPoolExecutor(count) for count in (jobs, 1, jobs))
        for pool in (decoders, engine, encoders):
            stack.callback(pool.shutdown, cancel_futures=True)
        for item in items:
            result = None
            if is_frame(item):
                inferred = engine.submit(_after, decoders.submit(decode, item), infer)
                result = encoders.submit(_after, inferred, encode)
                frames += 1
            waiting.append((item, result))
            while waiting and (
                frames > 2 * jobs + 1 or len(waiting) > LONGEST_QUEUE or _is_done(waiting[0][1])
            ):
                frames -= waiting[0][1] is not None
                yield _finished(waiting.popleft())
        yield from map(_finished, waiting)


def _finished(
    pair: tuple[Item, Future[Encoded] | None],
) -> tuple[Item, Future[Encoded] | None]:
    if pair[1] is not None:
        wait([pair[1]])
    return pair


def _after(earlier: Future[Item], stage: Callable[[Item], Encoded]) -> Encoded:
    return stage(earlier.result())


def _is_done(result: Future[Encoded] | None) -> bool:
    return result is None or result.done()
