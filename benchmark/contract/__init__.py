"""The contract of `benchmark/algorithm.py` as a suite that runs on any method: `python -m benchmark check`."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmark.calls import FOREIGN_ERRORS, where
from benchmark.contract.checks import CHECKS
from benchmark.contract.devices import fixed_steps_are_the_same, runs_on_any_device
from benchmark.contract.refusals import refuses_an_incomplete_state, refuses_what_does_not_fit
from benchmark.contract.subject import Subject
from benchmark.errors import BenchmarkError

ALL_CHECKS: tuple[Callable[[Subject], None], ...] = (
    *CHECKS,
    refuses_what_does_not_fit,
    refuses_an_incomplete_state,
    runs_on_any_device,
    fixed_steps_are_the_same,
)


@dataclass(frozen=True)
class Verdict:
    """What one check found."""

    check: str
    """What was checked, in words."""
    promise: str
    """What the method promises."""
    problem: str | None
    """What is broken; None where the promise is kept."""


def run_checks(subject: Subject) -> Iterator[Verdict]:
    """All checks, one after another; a broken promise does not stop the others, but for a method that is not built."""
    for check in (is_built, *ALL_CHECKS):
        problem = None
        try:
            check(subject)
        except BenchmarkError as error:
            problem = str(error)
        except FOREIGN_ERRORS as error:  # of something that the method handed out
            problem = f"it came to {type(error).__name__}{where(error)}: {error}"
        if check is is_built and problem is None:
            continue
        promise = (check.__doc__ or "").strip()
        yield Verdict(check.__name__.replace("_", " "), promise, problem)
        if check is is_built:
            return


def is_built(subject: Subject) -> None:
    """A method is built from its settings, the family's sizes, a device and a generator."""
    subject.build()
