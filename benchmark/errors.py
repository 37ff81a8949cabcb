"""Everything a user can get wrong: one class per kind of failure, each message says what, where, what to do."""

import copyreg
import difflib
from collections.abc import Iterable
from typing import Any


class BenchmarkError(Exception):
    """Base of all errors that the command line reports in one message, without a traceback."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Come out of another process with message and attributes, whatever the class's constructor takes."""
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]


class UnknownNameError(BenchmarkError):
    """A family, split, algorithm, tier or configuration key that does not exist."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        known = list(known)
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f" Did you mean '{close[0]}'?" if close else ""
        super().__init__(f"unknown {kind} '{name}'.{hint} Known: {', '.join(known) or 'none'}.")


class ConfigError(BenchmarkError):
    """A configuration value of the wrong type or range."""


class DataError(BenchmarkError):
    """Recorded data, a cache or a snapshot is missing, damaged or not what the catalog says."""


class SimulatorVersionError(BenchmarkError):
    """The installed MuJoCo, or a body file, is not the one the standard is defined on."""


class CheckpointError(BenchmarkError):
    """A checkpoint is damaged, unreadable, or belongs to another configuration."""


class RunError(BenchmarkError):
    """A run cannot start or go on: the output folder, the disk, or a loss that is not finite."""


class InUseError(RunError):
    """Another process works in the folder."""


class WorkerError(RunError):
    """A worker process, or the machine it was on, ended before its job was done."""


class AlgorithmError(BenchmarkError):
    """An algorithm does not fulfil the contract of `benchmark.algorithm`."""


class ResultError(BenchmarkError):
    """A result row is malformed, or rows of different keys would be mixed."""


class SubmissionError(BenchmarkError):
    """A submission is malformed or incomplete, or claims what is not found again."""
