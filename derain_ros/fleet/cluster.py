"""The work of a fleet on Ray: inputs to workers, and again to another where one dies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import logging
import os
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from derain_ros.errors import DataError
from derain_ros.fleet.work import derain_input, Options, Result

# of Ray; results are a few kilobytes
LOCAL_STORE_BYTES = 100 * 2**20


@contextmanager
def connected() -> Iterator[None]:
    """Connect to the cluster of ``RAY_ADDRESS``, as in a job; without one, to this machine."""
    os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')  # nothing is sent from here
    options: dict[str, Any] = {'logging_level': logging.ERROR, 'log_to_driver': False}
    if is_local():
        options |= {
            'address': 'local',
            'include_dashboard': False,
            'object_store_memory': LOCAL_STORE_BYTES,
        }
    ray.init(**options)
    try:
        yield
    finally:
        ray.shutdown()


def is_local() -> bool:
    """Tell whether there is no cluster but this machine."""
    return 'RAY_ADDRESS' not in os.environ


def worker_resources(gpus: float, cpus: float | None) -> dict[str, float]:
    """
    Return what Ray keeps for each worker.

    :param cpus: None: 1 where it has a GPU, else all of the smallest machine, which an engine on
        the CPU takes anyway.
    :raises DataError: this machine has less; a cluster may still grow.
    """
    nodes: Any = ray.nodes  # without type hints
    machines = [node['Resources'] for node in nodes() if node['Alive']]
    if cpus is None:
        found = [machine['CPU'] for machine in machines if machine.get('CPU')]
        cpus = 1 if gpus or not found else min(found)
    enough = any(
        machine.get('CPU', 0) >= cpus and machine.get('GPU', 0) >= gpus for machine in machines
    )
    if not enough and is_local():
        raise DataError(
            f'this machine has no {cpus:g} CPUs and {gpus:g} GPUs for a worker; lower '
            '--cpus-per-worker or --gpus-per-worker'
        )
    return {'num_cpus': cpus, 'num_gpus': gpus}


def derain_all(
    inputs: dict[str, str], options: Options, resources: dict[str, float], retries: int
) -> Iterator[Result]:
    """
    De-rain inputs on the workers that there are, each on one.

    :param inputs: source to target.
    :param retries: how often an input of which a result is missing is tried again.
    :returns: one result each, as they come.
    """
    # a worker keeps its engine: max_calls=0 lets it live from one input to the next
    remote: Any = ray.remote  # its overloads do not know these options together
    task = remote(max_calls=0, max_retries=0, **resources)(derain_input)
    tries = dict.fromkeys(inputs, 1)
    running = {task.remote(source, target, options): source for source, target in inputs.items()}
    while running:
        (ready,), _ = ray.wait(list(running))
        source = running.pop(ready)
        result = _result(ready, source, inputs[source])
        if result.state == 'failed' and tries[source] <= retries:
            tries[source] += 1
            running[task.remote(source, inputs[source], options)] = source
            continue
        result.tries = tries[source]
        yield result


def _result(ready: ray.ObjectRef[Result], source: str, target: str) -> Result:
    """Return what came of an input, an error too."""
    try:
        return ray.get(ready)
    except RayTaskError as error:
        lines = str(error.cause).splitlines()  # of an import error, its traceback
        problem = lines[-1] if lines else type(error.cause).__name__
    except RayError as error:  # it was killed, ran out of memory, or its machine is gone
        problem = f'its worker died ({type(error).__name__})'
    named = problem if source in problem else f'{source}: {problem}'
    return Result(source, target, 'failed', problems=[named])
