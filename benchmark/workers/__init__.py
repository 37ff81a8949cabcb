"""Jobs in processes of their own: on this machine (`processes.py`) or on a Ray cluster (`cluster.py`).

    driver -- job --> worker: work(asked_to_stop) --> files          what a job makes lies in files, and it resumes
       |                 '-- None, or its error ----> driver         from them: it can be killed and begun again
       '-- stop, or the driver's end --> worker saves and ends

Training behaviour (`data collect`) and sweeps of runs are both done with it.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from benchmark.errors import BenchmarkError, RunError
from benchmark.families.stepping import cores
from benchmark.interruption import noticed_signals

AskedToStop = Callable[[], bool]
"""Says, within a job, whether it shall end its step, save, and end."""


@dataclass(frozen=True)
class Job:
    """Something to do in another process."""

    name: str
    """As messages call it, such as `share 3`; no other job has it."""
    work: Callable[[AskedToStop], None]
    """Can be pickled. Goes on from what lies in files; raises BenchmarkError where it fails."""
    retries: int = 0
    """How often it is begun again after its process was killed, or the machine it was on has gone."""
    gpus: int = 0
    """GPUs that a cluster sets aside for it; processes of this machine share what there is."""


class Workers(Protocol):
    """Where jobs are done. A context: at its end no worker is left."""

    def submit(self, job: Job) -> "Future[BenchmarkError | None]":
        """Have the job done when there is room; the result is None, or the error it ended with."""
        ...

    def stop(self) -> None:
        """Begin no further job, and ask those at work to save and end."""
        ...

    def __enter__(self) -> "Workers": ...

    def __exit__(self, *error: Any) -> None: ...


def start_workers(folder: Path, processes: int | None = None, ray: str | None = None) -> Workers:
    """That many processes of this machine (default: one per core), or the Ray cluster at an address.

    `folder` is where the jobs' files lie. Raises ConfigError for fewer than one process, and where there is no cluster;
    RunError where `folder` cannot be written, which is found here once and not by every job.
    """
    if ray is not None:
        from benchmark.workers.cluster import Cluster

        return Cluster(ray, folder)
    from benchmark.workers.processes import Processes

    workers = Processes(cores() if processes is None else processes)
    _try_to_write(folder)
    return workers


def _try_to_write(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise RunError(f"the folder {folder} cannot be written: {error}. Choose another --out.") from error


@dataclass(frozen=True)
class Ending:
    """How a round of jobs ended."""

    errors: Mapping[str, BenchmarkError | None]
    """By name, of the jobs that have ended: their error, or None."""
    signal: int | None
    """The number of the signal that ended the round early."""


def work_off(
    workers: Workers,
    jobs: Sequence[Job],
    look: Callable[[Mapping[str, BenchmarkError | None]], None],
    stop_at_failure: bool = False,
) -> Ending:
    """Do all jobs, or end early: on SIGINT or SIGTERM and, if asked to, at the first failure.

    `look` is called with the errors so far after every second, and as soon as a job ends.
    """
    errors: dict[str, BenchmarkError | None] = {}
    with noticed_signals() as received:
        names = {workers.submit(job): job.name for job in jobs}
        waiting = set(names)
        try:
            while waiting and not received and not (stop_at_failure and any(errors.values())):
                ended, waiting = wait(waiting, timeout=1.0, return_when=FIRST_COMPLETED)
                errors |= {names[one]: one.result() for one in ended}
                look(errors)
        finally:
            workers.stop()
            for one in waiting:
                try:
                    errors[names[one]] = one.result()
                except CancelledError:  # it was never begun
                    continue
        return Ending(errors, received[0] if received else None)
