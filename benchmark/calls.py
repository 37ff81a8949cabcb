"""Calling a method's own code: whatever goes wrong in it becomes one AlgorithmError that says where.

Also checked here: what a method answers. Shapes of actions are checked where policies act (`evaluation.py`).
"""

import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from benchmark.algorithm import (
    Algorithm,
    AlgorithmConfig,
    FamilyDescription,
    FineTuner,
    Policy,
    TrainingData,
    Transitions,
)
from benchmark.errors import AlgorithmError, BenchmarkError

Answer = TypeVar("Answer")

PROTOCOL_COLUMNS = ("step", "adapted_return", "unadapted_return", "score")
"""Columns of metrics.csv that are the protocol's, so that a method may not use these names (or begin with them)."""
FOREIGN_ERRORS = (Exception, SystemExit)
"""What someone else's code may raise; `sys.exit()` in it must not end the program as if all were well."""
ELSEWHERE = [Path(file).parent for file in (__file__, torch.__file__, np.__file__)]
"""Folders whose lines do not say where a method went wrong."""


def call(what: str, function: Callable[[], Answer]) -> Answer:
    """The function's answer; any exception of the method's own becomes AlgorithmError with file and line."""
    try:
        return function()
    except BenchmarkError:
        raise
    except FOREIGN_ERRORS as error:
        raise AlgorithmError(f"{what} raised {type(error).__name__}{where(error)}: {error}") from error


def where(error: BaseException) -> str:
    """The last line of the method's own that an error came through, as ` at file, line N`; empty if there is none."""
    places = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    own = [(name, line) for name, line in places if not _is_elsewhere(name)]
    return f" at {Path(own[-1][0]).name}, line {own[-1][1]}" if own else ""


def _is_elsewhere(file: str) -> bool:
    """Whether it is a file of this suite, of a library that everybody calls, or none at all."""
    return file.startswith("<") or any(folder in Path(file).parents for folder in ELSEWHERE)


def build(
    kind: type[Algorithm], config: AlgorithmConfig, family: FamilyDescription, device: torch.device,
    random: torch.Generator,
) -> Algorithm:  # fmt: skip
    """A new instance of the method."""
    return call(f"building {kind.name}", lambda: kind(config, family, device, random))


def update(algorithm: Algorithm, data: TrainingData, step: int) -> dict[str, Tensor]:
    """One meta-training step; returns its metrics as scalar tensors of float32.

    Raises AlgorithmError unless they are a mapping of scalars that has `loss` and no name of the protocol's.
    """
    what = f"{algorithm.name}.update at step {step}"
    metrics = call(what, lambda: algorithm.update(data))
    if not isinstance(metrics, Mapping) or "loss" not in metrics:
        raise AlgorithmError(f"{algorithm.name}.update must return a mapping of metrics with 'loss' in it.")
    checked = {}
    for name, value in metrics.items():
        if not isinstance(value, Tensor | int | float) or (isinstance(value, Tensor) and value.ndim):
            found = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)
            raise AlgorithmError(f"{what} gave {found} as metric '{name}'; metrics must be scalars.")
        if isinstance(value, Tensor) and value.is_complex():
            raise AlgorithmError(f"{what} gave the complex metric '{name}'; metrics must be real.")
        if str(name).startswith(PROTOCOL_COLUMNS):
            raise AlgorithmError(
                f"{what} gave a metric '{name}'; that name is the protocol's, choose another."
            )
        checked[str(name)] = torch.as_tensor(value).detach().to(torch.float32)
    return checked


def adapt(algorithm: Algorithm, context: Transitions) -> Policy:
    """`algorithm.adapt`"""
    return _policy(f"{algorithm.name}.adapt", lambda: algorithm.adapt(context))


def explore(algorithm: Algorithm, context: Transitions) -> Policy:
    """`algorithm.explore`"""
    return _policy(f"{algorithm.name}.explore", lambda: algorithm.explore(context))


def informed(algorithm: Algorithm, slots: Tensor) -> Policy | None:
    """`algorithm.informed`"""
    return call(f"{algorithm.name}.informed", lambda: algorithm.informed(slots))


def fine_tuner(algorithm: Algorithm, context: Transitions) -> FineTuner | None:
    """`algorithm.fine_tuner`"""
    return call(f"{algorithm.name}.fine_tuner", lambda: algorithm.fine_tuner(context))


def exploring(algorithm: Algorithm, learner: FineTuner) -> Policy:
    """`learner.explore`"""
    return _policy(f"explore of {algorithm.name}'s fine_tuner", lambda: learner.explore())


def learn(algorithm: Algorithm, learner: FineTuner, data: TrainingData) -> None:
    """`learner.learn`"""
    call(f"learn of {algorithm.name}'s fine_tuner", lambda: learner.learn(data))


def learned(algorithm: Algorithm, learner: FineTuner) -> Policy:
    """`learner.policy`"""
    return _policy(f"policy of {algorithm.name}'s fine_tuner", lambda: learner.policy())


def _policy(what: str, function: Callable[[], Policy]) -> Policy:
    """The function's answer; raises AlgorithmError if it cannot be called."""
    found = call(what, function)
    if not callable(found):
        raise AlgorithmError(f"{what} gave {type(found).__name__}, not a policy that can be called.")
    return found


def state(algorithm: Algorithm) -> dict[str, Any]:
    """`algorithm.state`; raises AlgorithmError where it holds something that a checkpoint cannot."""
    found = call(f"{algorithm.name}.state", algorithm.state)
    wrong = _not_storable(found, "state")
    if wrong or not isinstance(found, dict):
        raise AlgorithmError(
            f"{algorithm.name}.state() must give a dict of tensors, numbers, strings, and dicts and lists of them; "
            f"{wrong or 'it'} is a {type(found).__name__ if not wrong else 'value of another type'}."
        )
    return found


def load_state(algorithm: Algorithm, saved: dict[str, Any]) -> None:
    """`algorithm.load_state`"""
    call(f"{algorithm.name}.load_state", lambda: algorithm.load_state(saved))


def _not_storable(value: Any, path: str) -> str | None:
    """Where in nested dicts and lists something lies that is not a tensor, number, string or None."""
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)  # type: ignore[assignment]
    else:
        return (
            None
            if value is None or type(value) in (bool, int, float, str) or isinstance(value, Tensor)
            else path
        )
    return next((found for key, item in items if (found := _not_storable(item, f"{path}/{key}"))), None)
