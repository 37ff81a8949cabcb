"""Everything that a trained method is tested with at the end of a run."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmark import calls
from benchmark.algorithm import Algorithm, AlgorithmConfig
from benchmark.data.references import References
from benchmark.errors import ResultError, RunError
from benchmark.evaluation import Evaluation, Evaluator, as_act
from benchmark.families.family import Family
from benchmark.online_finetuning import CONTEXT, fine_tuned_evaluations
from benchmark.protocol import EPISODES, ContextChoice
from benchmark.results.rows import OF_A_TEST, normalised_score, read_rows
from benchmark.rollouts import episode_outcomes
from benchmark.tested import PROCESSOR

Build = Callable[[AlgorithmConfig], Algorithm]
"""Gives a new instance of the method with this configuration."""


@dataclass(frozen=True)
class EarlierTests:
    """What the same network, trained as long, was tested with before."""

    rows: pd.DataFrame | None = None
    """Result rows; None where there are none."""

    @classmethod
    def read(cls, path: Path) -> "EarlierTests":
        """Those in a run's `result.csv`, if it is there; raises RunError where it cannot be read."""
        try:
            return cls(read_rows(path) if path.exists() else None)
        except ResultError as error:
            raise RunError(f"{error} Delete {path}: the same command makes it again.") from error

    def with_contexts(self, asked: Sequence[ContextChoice]) -> list[ContextChoice]:
        """The contexts asked for, and behind them those of the earlier tests."""
        if self.rows is None:
            return list(asked)
        pairs = self.rows[["context", "context_size"]].drop_duplicates().itertuples(index=False, name=None)
        earlier = [ContextChoice(source, size) for source, size in pairs]
        return [*asked, *(choice for choice in earlier if choice not in asked)]

    def behind(self, rows: pd.DataFrame) -> pd.DataFrame:
        """New rows, and behind them those of the tests that were not made again."""
        if self.rows is None:
            return rows
        again = pd.MultiIndex.from_frame(rows[list(OF_A_TEST)])
        kept = ~pd.MultiIndex.from_frame(self.rows[list(OF_A_TEST)]).isin(again)
        return pd.concat([rows, self.rows[kept]], ignore_index=True)


def final_evaluations(
    algorithm: Algorithm, settings: AlgorithmConfig, evaluator: Evaluator, contexts: Sequence[ContextChoice],
    online: bool, build: Build, known: Sequence[Evaluation] = (), pause: Callable[[], None] = lambda: None,
) -> Iterator[tuple[AlgorithmConfig, Evaluation]]:  # fmt: skip
    """Evaluations with the settings they were made with: the run's own first, then those of `further_tests`.

    With `online` also after learning on in the test tasks, from the protocol's own context; from that one there are no
    further tests. Evaluations of the same network with the run's own settings that are `known` are not made again.
    `pause` is called before each, and ends them all by an error of its own.
    """
    there = {one.choice: one for one in known}
    offline = [choice for choice in contexts if not (online and choice == CONTEXT)]
    for choice in offline:
        pause()
        yield settings, there[choice] if choice in there else evaluator.evaluate(algorithm, choice)
    if online:
        for evaluation in fine_tuned_evaluations(algorithm, evaluator, pause=pause):
            yield settings, evaluation
    for further in _further_settings(algorithm, settings):
        other = build(further)
        calls.load_state(other, calls.state(algorithm))
        for choice in offline:
            pause()
            yield further, evaluator.evaluate(other, choice)


def _further_settings(algorithm: Algorithm, settings: AlgorithmConfig) -> list[AlgorithmConfig]:
    """The settings of `further_tests` that are not the run's own."""
    found = [replace(settings, **changes) for changes in algorithm.further_tests]
    return [one for one in found if one != settings]


def informed_table(
    algorithm: Algorithm, family: Family, train_tasks: Sequence[int], known: References
) -> pd.DataFrame | None:
    """Return and score on each train task of the method that is told which one it is; None where it cannot be told.

    An oracle: it says how much of what the method has learned is lost for want of knowing the task. The method is on
    the processor.
    """
    slots = torch.arange(len(train_tasks))
    policy = calls.informed(algorithm, slots)
    if policy is None:
        return None
    act = as_act(algorithm, policy, family, PROCESSOR)
    returns = np.mean(episode_outcomes(family, train_tasks, act, EPISODES).returns, axis=1)
    return pd.DataFrame(
        [
            {
                "task": task,
                "informed_return": float(value),
                "score": normalised_score(float(value), known.random[task], known.expert[task]),
                "random_return": known.random[task],
                "expert_return": known.expert[task],
            }
            for task, value in zip(train_tasks, returns, strict=True)
        ]
    )
