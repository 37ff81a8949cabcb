"""Calling a method's own code: whatever goes wrong in it becomes one AlgorithmError that says where.

Also checked here: what a method answers. Shapes of actions are checked where policies act (`evaluation.py`).
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

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


def call(what: str, function: Callable[[], Answer]) -> Answer:
    """The function's answer; any exception of the method's own becomes AlgorithmError with file and line."""
    try:
        return function()
    except BenchmarkError:
        raise
    except Exception as error:  # noqa: BLE001 - someone else's code
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        where = f" at {Path(trace.tb_frame.f_code.co_filename).name}, line {trace.tb_lineno}" if trace else ""
        raise AlgorithmError(f"{what} raised {type(error).__name__}{where}: {error}") from error


def build(
    kind: type[Algorithm], config: AlgorithmConfig, family: FamilyDescription, device: torch.device,
    random: torch.Generator,
) -> Algorithm:  # fmt: skip
    """A new instance of the method."""
    return call(f"building {kind.name}", lambda: kind(config, family, device, random))


def update(algorithm: Algorithm, data: TrainingData, step: int) -> dict[str, Tensor]:
    """One meta-training step; returns its metrics as scalar tensors.

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
        if str(name).startswith(PROTOCOL_COLUMNS):
            raise AlgorithmError(
                f"{what} gave a metric '{name}'; that name is the protocol's, choose another."
            )
        checked[str(name)] = torch.as_tensor(value).detach()
    return checked


def adapt(algorithm: Algorithm, context: Transitions) -> Policy:
    """`algorithm.adapt`"""
    return call(f"{algorithm.name}.adapt", lambda: algorithm.adapt(context))


def explore(algorithm: Algorithm, context: Transitions) -> Policy:
    """`algorithm.explore`"""
    return call(f"{algorithm.name}.explore", lambda: algorithm.explore(context))


def fine_tuner(algorithm: Algorithm, context: Transitions) -> FineTuner | None:
    """`algorithm.fine_tuner`"""
    return call(f"{algorithm.name}.fine_tuner", lambda: algorithm.fine_tuner(context))


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
