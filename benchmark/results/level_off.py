"""How long to meta-train: one rule for all methods, applied to runs on the split `tuning`.

Its test tasks are train tasks of `standard`; cheetah-dir alone has no others than those it tests on in every split.

    score     .  .   . : . : : : :  : : :
              |--w--|--w--|--w--|--w--|        windows of some evaluations, side by side
    levelled off at the end of the first window that no later window's mean exceeds by more than the tolerance

A curve has not levelled off if that is the last window: it may still rise.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.errors import ResultError
from benchmark.results.rows import refuse_non_numbers

WINDOW = 2_500
"""Meta-training steps that are averaged over, as single evaluations are noisy."""
TOLERANCE = 2.0
"""Points of normalised score."""


def levelled_off(steps: Sequence[int], scores: Sequence[float], window: int = WINDOW) -> int | None:
    """The step at which a curve has levelled off, a multiple of `window`; None where it has not.

    Raises ResultError where a window holds no evaluation.
    """
    number = (np.asarray(steps) - 1) // window
    complete = max(steps) // window
    if complete < 2:
        return None
    empty = set(range(complete)) - set(number.tolist())
    if empty:
        raise ResultError(
            f"nothing was evaluated between the steps {min(empty) * window:,} and {(min(empty) + 1) * window:,}: the "
            f"rule needs runs with --evaluate-every {window} or less."
        )
    means = np.array([np.mean(np.asarray(scores)[number == one]) for one in range(complete)])
    for one in range(complete - 1):
        if means[one + 1 :].max() <= means[one] + TOLERANCE:
            return (one + 1) * window
    return None


def mean_curve(metrics: Sequence[Path]) -> tuple[list[int], list[float]]:
    """Steps and mean scores of the metrics.csv of several seeds.

    Raises ResultError where one cannot be read, or where they were not evaluated at the same steps.
    """
    curves = []
    for path in metrics:
        try:
            table = pd.read_csv(path)[["step", "score"]]
        except (OSError, ValueError, KeyError) as error:
            raise ResultError(f"{path} cannot be read as a learning curve: {error}") from error
        refuse_non_numbers(table, path)
        curves.append(table)
    steps = curves[0]["step"]
    for path, curve in zip(metrics, curves, strict=True):
        if not curve["step"].equals(steps):
            raise ResultError(f"{path} and {metrics[0]} have different steps: give seeds of one run.")
    return list(steps), list(np.mean([curve["score"] for curve in curves], axis=0))
