"""Workers on this machine: a process per job, so that a killed one takes no other with it, and its memory is its own.

The standard library's thread pool does the scheduling: each of its threads starts one process and waits for its end.
Its fork server is the processes' parent: it imports PyTorch once for all, which takes longer than all else they import.
"""

import multiprocessing
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Mapping
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing import connection, resource_tracker
from multiprocessing.context import ForkServerContext, SpawnContext
from threading import Lock
from typing import Any, Self, TypeAlias

from benchmark.errors import BenchmarkError, ConfigError, RunError, WorkerError
from benchmark.randomness import reseed_global_generators
from benchmark.workers import Job

Line: TypeAlias = "connection.Connection[Any, Any]"

IMPORTED_ONCE = ("torch", "benchmark.families")
"""What every worker finds imported. It can be forked: no thread is begun but those of NumPy's linear algebra, which
begins its own anew in a fork."""
LONGEST_SOCKET_PATH = 107
"""Characters of the place where a fork server can be spoken to: the system's limit."""
LONGEST_NAME_IN_TMPDIR = len("/pymp-xxxxxxxx/listener-xxxxxxxx")


def _serve(job: Job, environment: Mapping[str, str], parent: Line) -> None:
    """In the process: do the job, then tell the parent how it ended."""
    os.environ.clear()  # the fork server's are those of its start
    os.environ.update(environment)
    reseed_global_generators()  # all workers were born with the fork server's
    error: BenchmarkError | None = None
    try:
        job.work(parent.poll)  # true for a word from the parent and for its end
    except BenchmarkError as failure:
        error = failure
    except Exception:  # noqa: BLE001 - whatever went wrong reaches the parent whole, across the border of processes
        error = RunError(f"{job.name} failed unexpectedly:\n{traceback.format_exc()}")
    with suppress(OSError):  # the parent is gone: nobody to tell
        parent.send(error)


class Processes:
    """At most `limit` processes at once."""

    def __init__(self, limit: int) -> None:
        """ConfigError for fewer than one."""
        if limit < 1:
            raise ConfigError(f"the number of processes is {limit}; at least 1 is needed.")
        self._lock = Lock()
        self._lines: set[Line] = set()
        self._stopped = False
        # The tracker, if it were started by a thread that blocks signals, would unblock them.
        resource_tracker.ensure_running()
        self._threads = ThreadPoolExecutor(limit, initializer=_block_signals)

    def submit(self, job: Job) -> "Future[BenchmarkError | None]":
        """Have the job done when there is room; the result is None, or the error it ended with."""
        return self._threads.submit(self._done, job)

    def stop(self) -> None:
        """Begin no further job, and ask those at work to save and end."""
        with self._lock:
            self._stopped = True
            for line in self._lines:
                with suppress(OSError):  # it has ended already
                    line.send("stop")
        self._threads.shutdown(wait=False, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()
        self._threads.shutdown()

    def _done(self, job: Job) -> BenchmarkError | None:
        for _ in range(job.retries):
            error = self._attempt(job)
            if not isinstance(error, WorkerError) or self._stopped:
                return error
        return self._attempt(job)

    def _attempt(self, job: Job) -> BenchmarkError | None:
        context = _context()
        mine, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(job, dict(os.environ), theirs))
        with self._lock:  # starting a process also looks after those that have ended
            if self._stopped:
                raise CancelledError
            try:
                process.start()
            except (OSError, EOFError) as failure:
                return RunError(
                    f"no process could be begun for {job.name}: {failure or 'its parent ended'}. Look whether there is "
                    f"enough memory, and whether {tempfile.gettempdir()} (TMPDIR) can be written."
                )
            self._lines.add(mine)
        theirs.close()  # so that the end of either process is the end of the connection
        error: BenchmarkError | None = None
        heard = True
        try:
            error = mine.recv()
        except (EOFError, OSError):
            heard = False
        connection.wait([process.sentinel])
        with self._lock:
            self._lines.discard(mine)
            process.join()
            status = process.exitcode or 0
        mine.close()
        process.close()
        return error if heard else _killed(job, status)


def _context() -> ForkServerContext | SpawnContext:
    """How processes are begun: apart from each other where they cannot be forked, or their server not be spoken to.

    Only Linux can fork one that has loaded what PyTorch loads elsewhere.
    """
    too_long = len(os.fsencode(tempfile.gettempdir())) + LONGEST_NAME_IN_TMPDIR > LONGEST_SOCKET_PATH
    if sys.platform != "linux" or too_long:
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(IMPORTED_ONCE))
    return context


def _block_signals() -> None:
    """For a thread and the processes it starts: Ctrl-C in a terminal reaches them too, but they obey the driver."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})


def _killed(job: Job, status: int) -> WorkerError:
    how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
    return WorkerError(
        f"the process of {job.name} {how} before it was done (is there enough memory?). The last checkpoint stays; "
        "the same command goes on."
    )
