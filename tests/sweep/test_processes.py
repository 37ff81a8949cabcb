"""Workers on one machine: what goes wrong in them arrives, and nothing but PyTorch's import is shared."""

import os
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.errors import BenchmarkError, RunError
from benchmark.workers import AskedToStop, Job, processes, work_off
from benchmark.workers.processes import Processes


def errors(*jobs: Job) -> dict[str, BenchmarkError | None]:
    """How these jobs end, each in a process of its own, two at a time."""
    with Processes(2) as workers:
        return dict(work_off(workers, jobs, lambda errors: None).errors)


def fail_unexpectedly(asked_to_stop: AskedToStop) -> None:
    raise ZeroDivisionError("nobody thought of it")


def test_an_unexpected_error_arrives_whole() -> None:
    error = errors(Job("a job", fail_unexpectedly))["a job"]
    assert isinstance(error, RunError)
    assert "a job failed unexpectedly:\nTraceback" in str(error)
    assert "in fail_unexpectedly\n" in str(error)
    assert "ZeroDivisionError: nobody thought of it" in str(error)


def draw(path: Path, asked_to_stop: AskedToStop) -> None:
    drawn = float(torch.rand(())), np.random.rand()  # noqa: NPY002 - as a method of a user's may
    path.write_text(f"{drawn[0]} {drawn[1]} {os.environ['SAID_LATER']}")


def test_workers_draw_apart_and_see_the_environment_of_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAID_LATER", "yes")
    found = errors(*(Job(name, partial(draw, tmp_path / name)) for name in ("one", "other")))
    assert list(found.values()) == [None, None]
    one, other = ((tmp_path / name).read_text().split() for name in ("one", "other"))
    assert one[0] != other[0], "PyTorch's global generator"
    assert one[1] != other[1], "NumPy's"
    assert one[2] == other[2] == "yes"


def test_a_fork_server_is_not_asked_where_its_socket_has_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    for length, method in ((75, "forkserver"), (76, "spawn")):
        monkeypatch.setattr(tempfile, "tempdir", "/" + (length - 1) * "x")
        assert processes._context().get_start_method() == method


def test_a_process_that_cannot_be_begun_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing:
        def __init__(self) -> None:
            self.context = processes.multiprocessing.get_context("spawn")
            self.Pipe = self.context.Pipe

        def Process(self, target: object, args: object) -> "Refusing":
            return self

        def start(self) -> None:
            raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(processes, "_context", Refusing)
    error = errors(Job("a job", fail_unexpectedly))["a job"]
    assert isinstance(error, RunError)
    assert "no process could be begun for a job: [Errno 12] Cannot allocate memory. Look whether" in str(
        error
    )
