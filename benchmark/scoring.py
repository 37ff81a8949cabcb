"""From an evaluation to result rows: episodes are averaged, and returns, or success, become scores."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from benchmark.data.references import References
from benchmark.evaluation import Evaluation
from benchmark.families.family import Family
from benchmark.results.rows import ResultRow, normalised_score


def result_rows(
    family: Family, split: str, known: References, evaluation: Evaluation, common: Mapping[str, Any]
) -> list[ResultRow]:
    """One row per test task of the split; `common` holds the columns that all rows of a run share."""
    blind, rows = known.blind[split], []
    for index, task in enumerate(family.split(split).test):
        adapted = float(evaluation.adapted[index].mean())
        rows.append(
            ResultRow(
                **common,
                family=family.id,
                split=split,
                context=evaluation.choice.source,
                context_size=evaluation.choice.size,
                online_steps=evaluation.online_steps,
                task=task,
                unadapted_return=float(evaluation.unadapted[index].mean()),
                adapted_return=adapted,
                score=normalised_score(adapted, known.random[task], known.expert[task]),
                random_return=known.random[task],
                blind_return=blind.returns[index],
                expert_return=known.expert[task],
            )
        )
    return _with_successes(rows, split, known, evaluation)


def _with_successes(
    rows: list[ResultRow], split: str, known: References, evaluation: Evaluation
) -> list[ResultRow]:
    """The rows with success rates, the adapted one as the score, where the family knows success."""
    rates, adapted, unadapted = (
        known.successes, evaluation.adapted_successes, evaluation.unadapted_successes
    )  # fmt: skip
    if rates is None or adapted is None or unadapted is None:
        return rows
    return [
        replace(
            row,
            score=100.0 * float(adapted[index].mean()),
            unadapted_success=float(unadapted[index].mean()),
            adapted_success=float(adapted[index].mean()),
            random_success=rates.random[row.task],
            blind_success=rates.blind[split][index],
            expert_success=rates.expert[row.task],
        )
        for index, row in enumerate(rows)
    ]
