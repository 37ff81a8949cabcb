"""Workers on a Ray cluster: a task of one CPU per job; Ray schedules, and begins a job again whose node has died.

What jobs make lies in one folder that all nodes see under the same path. A node that does not see it refuses its jobs:
the driver leaves a mark in the folder, and every job looks for it first.
"""

import importlib.util
import logging
import os
import secrets
import socket
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Self

from benchmark.errors import BenchmarkError, ConfigError, RunError, WorkerError
from benchmark.files import write_text
from benchmark.interruption import noticed_signals
from benchmark.workers import Job

LOCAL = "local"
"""The address that stands for a cluster of this machine alone, started for the purpose."""
MARK = ".folder"


class Cluster:
    """The Ray cluster at an address; `local` starts one."""

    def __init__(self, address: str, folder: Path) -> None:
        """ConfigError where Ray is not installed or there is no cluster; RunError where `folder` cannot be written."""
        if importlib.util.find_spec("ray") is None:
            raise ConfigError("--ray needs the package ray: pip install -e '.[ray]' -c constraints.txt")
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # a cluster that is started here reports to nobody
        import ray

        self.folder, self.mark = folder.resolve(), _mark(folder.resolve())
        self._ray: Any = ray
        try:
            ray.init(address=address, include_dashboard=False if address == LOCAL else None,
                     log_to_driver=False, logging_level=logging.ERROR)  # fmt: skip
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            raise ConfigError(
                f"no Ray cluster can be used at '{address}': {error}. Start one by ray start --head and say its "
                f"host:port, or say --ray {LOCAL}."
            ) from error
        # a process per job, as on one machine: the peak memory in timing.csv is that of its run alone
        self._remote = ray.remote(max_calls=1)(_serve)
        self._refs: list[Any] = []

    def submit(self, job: Job) -> "Future[BenchmarkError | None]":
        """Have the job done when there is room; the result is None, or the error it ended with."""
        options = {"name": job.name, "max_retries": job.retries, "num_cpus": 1, "num_gpus": job.gpus}
        ref = self._remote.options(**options).remote(job, self.folder, self.mark, Path.cwd())
        self._refs.append(ref)
        answer: Future[BenchmarkError | None] = Future()
        ref.future().add_done_callback(partial(_settle, job, answer))
        return answer

    def stop(self) -> None:
        """Begin no further job, and ask those at work to save and end."""
        for ref in self._refs:
            self._ray.cancel(ref, force=False)
        self._refs.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()
        self._ray.shutdown()


def _mark(folder: Path) -> str:
    """What tells this folder from all others, put there once."""
    path = folder / MARK
    try:
        if not path.exists():
            write_text(path, secrets.token_hex())
        return path.read_text()
    except OSError as error:
        raise RunError(f"the folder {folder} cannot be written: {error}. Choose another --out.") from error


def _serve(job: Job, folder: Path, mark: str, place: Path) -> BenchmarkError | None:
    """On a node: do the job, and return its error. Being cancelled reaches it as SIGINT does."""
    with suppress(OSError):  # where algorithms named by path/to/file.py lie, if this node has it
        os.chdir(place)
    try:
        if (folder / MARK).read_text() != mark:
            raise FileNotFoundError(f"its {MARK} is another")
    except OSError as error:
        return RunError(
            f"{job.name}: {socket.gethostname()} does not see the folder {folder} of the driver ({error}). Choose an "
            "--out that all nodes of the cluster share under the same path."
        )
    try:
        with noticed_signals() as received:
            job.work(lambda: bool(received))
    except BenchmarkError as error:
        return error
    return None


def _settle(job: Job, answer: "Future[BenchmarkError | None]", done: "Future[BenchmarkError | None]") -> None:
    """What Ray says of a task as the end of a job."""
    import ray.exceptions

    error = done.exception()
    if isinstance(error, ray.exceptions.TaskCancelledError):
        answer.set_exception(CancelledError())
    elif isinstance(error, ray.exceptions.RayTaskError):
        answer.set_result(RunError(f"{job.name} failed unexpectedly:\n{error}"))
    elif error is not None:
        answer.set_result(
            WorkerError(
                f"the worker of {job.name} ended before it was done, again and again: {error}. The last checkpoint "
                "stays; the same command goes on."
            )
        )
    else:
        answer.set_result(done.result())
