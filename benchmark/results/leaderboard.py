"""From runs to `leaderboard/results/<family>/<algorithm>.csv`, and from those to `leaderboard/leaderboard.csv`."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from benchmark.errors import ResultError
from benchmark.results.rows import KEY, read_rows, write_table

RETURNS = ("unadapted_return", "adapted_return", "score", "random_return", "blind_return", "expert_return")


def find_results(places: Iterable[Path]) -> list[Path]:
    """The `result.csv` files in these files or folders; raises ResultError where there is none."""
    found: list[Path] = []
    for place in places:
        here = [place] if place.is_file() else sorted(place.rglob("result.csv"))
        if not here:
            raise ResultError(f"{place} holds no result.csv: the run is not finished, or the path is wrong.")
        found.extend(here)
    return found


def add_runs(results: Path, places: Iterable[Path]) -> list[Path]:
    """Copy the rows of finished runs into the results folder and return the files that changed.

    Rows that are there already stay; the same (key, seed, task) with other returns raises ResultError.
    """
    changed: list[Path] = []
    for source in find_results(places):
        new = read_rows(source)
        family, algorithm = new["family"].iloc[0], new["algorithm"].iloc[0]
        path = results / family.rpartition("-v")[0] / f"{algorithm}.csv"
        rows = pd.concat([read_rows(path), new]) if path.exists() else new
        rows = rows.drop_duplicates().sort_values([*KEY, "seed", "task"], kind="stable")
        _refuse_conflicts(rows, path)
        write_table(path, rows)
        changed.append(path)
    return sorted(set(changed))


def _refuse_conflicts(rows: pd.DataFrame, path: Path) -> None:
    repeated = rows[rows.duplicated([*KEY, "seed", "task"], keep=False)]
    if len(repeated):
        first = repeated.iloc[0]
        raise ResultError(
            f"{path}: {len(repeated)} rows have the key of another row but other returns, first seed {first['seed']}, "
            f"task {first['task']}, settings '{first['settings']}'. Remove the rows that are out of date."
        )


def leaderboard(results: Path) -> pd.DataFrame:
    """One line per key: means over test tasks, then over seeds, with the standard error over seeds.

    Columns: the key, `seeds`, `tasks`, the mean of each return and of the score, `adapted_standard_error`, `gain`.
    """
    files = sorted(results.glob("*/*.csv"))
    if not files:
        raise ResultError(
            f"{results} holds no results yet: add some with python -m benchmark leaderboard --add RUN."
        )
    for path in files:
        _refuse_conflicts(read_rows(path), path)
    rows = pd.concat([read_rows(path) for path in files])
    lines = [_line(key, group) for key, group in rows.groupby(list(KEY), sort=True)]
    return pd.DataFrame(lines).sort_values(
        ["family", "split", "context", "score"], ascending=[True, True, True, False]
    )


def _line(key: tuple[object, ...], group: pd.DataFrame) -> dict[str, object]:
    """The averages of one key; raises ResultError if the seeds were not tested on the same tasks."""
    tasks = group.groupby("seed")["task"].apply(tuple)
    if tasks.nunique() != 1:
        raise ResultError(
            f"seeds of {dict(zip(KEY, key, strict=True))} were tested on different tasks: {tasks.to_dict()}"
        )
    by_seed = group.groupby("seed")[list(RETURNS)].mean()
    error = by_seed["adapted_return"].sem() if len(by_seed) > 1 else float("nan")
    return {
        **dict(zip(KEY, key, strict=True)),
        "seeds": len(by_seed),
        "tasks": group["task"].nunique(),
        **{name: float(by_seed[name].mean()) for name in RETURNS},
        "adapted_standard_error": error,
        "gain": by_seed["adapted_return"].mean() - by_seed["unadapted_return"].mean(),
    }


def readme_table(frame: pd.DataFrame) -> str:
    """The leaderboard as a Markdown table, without the columns that are the same for all."""
    columns = {
        "family": "family", "split": "split", "context": "context", "algorithm": "algorithm", "settings": "settings",
        "steps": "steps", "seeds": "seeds", "unadapted_return": "un-adapted", "adapted_return": "adapted",
        "adapted_standard_error": "± s.e.", "score": "score", "random_return": "random", "blind_return": "blind",
        "expert_return": "expert",
    }  # fmt: skip
    lines = ["| " + " | ".join(columns.values()) + " |", "|" + " --- |" * len(columns)]
    for line in frame.to_dict("records"):
        cells = [f"{line[key]:.1f}" if isinstance(line[key], float) else str(line[key]) for key in columns]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def replace_between_markers(text: str, marker: str, content: str) -> str:
    """The text with what stands between `<!-- marker -->` and `<!-- /marker -->` replaced.

    Raises ResultError where the markers are missing.
    """
    start, end = f"<!-- {marker} -->", f"<!-- /{marker} -->"
    before, found, rest = text.partition(start)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ResultError(f"the text has no markers {start} and {end}.")
    return f"{before}{start}\n{content}\n{end}{after}"
