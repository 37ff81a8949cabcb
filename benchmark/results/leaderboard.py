"""The leaderboard: result rows averaged over test tasks, then over seeds, and never across keys."""

import pandas as pd

from benchmark.results.board import Board
from benchmark.results.intervals import estimate
from benchmark.results.rows import KEY, SUCCESSES, score_matrix
from benchmark.results.statistics import interquartile_mean

RETURNS = ("unadapted_return", "adapted_return", "score", "random_return", "blind_return", "expert_return")


def leaderboard(board: Board) -> pd.DataFrame:
    """One line per key: means over test tasks, then over seeds, with the standard error over seeds.

    Columns: the key, `trust` and `submission` (whose rows they are, and how far they are to be trusted), `seeds`,
    `tasks`, the mean of each return and of the score, `adapted_standard_error`, `gain`, the interquartile mean of the
    score over (seed x task) and the ends of its 95 % interval, missing below three seeds, and, where any family knows
    success, the mean success rates (NaN for the other families).
    Raises ResultError if there are no results, or if seeds of one key were tested on different tasks.
    """
    lines = [_line(key, group) for key, group in board.rows().groupby(list(KEY), sort=True)]
    order = ["family", "split", "context", "context_size", "score"]
    return pd.DataFrame(lines).sort_values(order, ascending=[True, True, True, True, False])


def _line(key: tuple[object, ...], group: pd.DataFrame) -> dict[str, object]:
    """The averages of one key; raises ResultError if the seeds were not tested on the same tasks."""
    successes = [name for name in SUCCESSES if name in group]
    middle = estimate(score_matrix(group), interquartile_mean)
    low, high = middle.interval()
    by_seed = group.groupby("seed")[[*RETURNS, *successes]].mean()
    error = by_seed["adapted_return"].sem() if len(by_seed) > 1 else float("nan")
    return {
        **dict(zip(KEY, key, strict=True)),
        **{
            name: group[name].iloc[0] for name in ("trust", "submission")
        },  # of one owner: no key is there twice
        "seeds": len(by_seed),
        "tasks": group["task"].nunique(),
        **{name: float(by_seed[name].mean()) for name in RETURNS},
        "adapted_standard_error": error,
        "gain": by_seed["adapted_return"].mean() - by_seed["unadapted_return"].mean(),
        "score_interquartile_mean": float(middle.value),
        "score_low": float(low),
        "score_high": float(high),
        **{name: float(by_seed[name].mean()) for name in successes},
    }
