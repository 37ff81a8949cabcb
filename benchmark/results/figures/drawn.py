"""What is drawn, as a table with a row per point, mark or remark. Pictures are made of this table and nothing else.

panel        kind       series   algorithm   x      y      low    high   seeds   key
cheetah-vel  line       macaw    macaw       500    -176   -190   -162   3       family=cheetah-vel-v1; ...
cheetah-vel  seed       macaw    macaw       early  -172                 1       family=cheetah-vel-v1; ...
cheetah-vel  published                       macaw         -128                   number in the authors' ...
cheetah-vel  missing    no runs of pearl
"""

import io
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from benchmark.results.figures.rows import Series, key_text
from benchmark.results.intervals import MINIMUM_SEEDS, Estimate, estimate, mean_over_seeds
from benchmark.results.rows import score_matrix
from benchmark.results.statistics import Statistic

COLUMNS = ["panel", "kind", "series", "algorithm", "x", "y", "low", "high", "seeds", "key"]
TEXTS = ["panel", "kind", "series", "algorithm", "x", "key"]
"""`x` is a text, because some axes have names on them."""


def points(
    panel: str, kind: str, series: Series, xs: Sequence[object], found: Estimate, seeds: int
) -> pd.DataFrame:
    """One row per x, with the 95 % interval over seeds; ends are missing where there are too few."""
    low, high = found.interval()
    key = key_text(series.rows)
    return pd.DataFrame(
        {
            "panel": panel, "kind": kind, "series": series.label, "algorithm": series.algorithm, "x": _texts(xs),
            "y": found.value, "low": low, "high": high, "seeds": seeds, "key": key,
        }
    )  # fmt: skip


def _texts(xs: Iterable[object]) -> list[str]:
    return [f"{x:.3f}".rstrip("0").rstrip(".") if isinstance(x, float) else str(x) for x in xs]


def curve(panel: str, series: Series, column: str, kind: str = "line", x: str = "step") -> pd.DataFrame:
    """The mean over seeds of a column of a learning curve, at the steps that all its longest runs have.

    `x` is `step`, or `seconds`: then each point is at the mean over seeds. A remark says which seeds' runs are shorter,
    or that no step is left.
    """
    ends = series.rows.groupby("seed")["step"].max()
    shorter = ends[ends < ends.max()]
    if len(shorter):
        text = f"{series.label}: without seed {', '.join(map(str, shorter.index))}, trained for fewer steps"
        whole = Series(series.label, series.algorithm, series.rows[~series.rows["seed"].isin(shorter.index)])
        said = [remark(panel, text)] if kind == "line" else []
        return pd.concat([curve(panel, whole, column, kind, x), *said], ignore_index=True)
    values = series.rows.pivot(index="seed", columns="step", values=column).dropna(axis="columns")
    xs: list[object] = list(values)
    if x != "step":
        times = series.rows.pivot(index="seed", columns="step", values=x).dropna(axis="columns")
        values = values[[step for step in values if step in times]]
        xs = [float(times[step].mean()) for step in values]
    if values.empty:
        return remark(panel, f"{series.label}: {'no timing' if x != 'step' else 'seeds share no step'}")
    return points(panel, kind, series, xs, mean_over_seeds(values.to_numpy(dtype=float)), len(values))


def point(panel: str, series: Series, x: object, column: str = "adapted_return") -> pd.DataFrame:
    """The mean over test tasks and seeds of one key's rows, and each seed's where two are too few for an interval."""
    means = score_matrix(series.rows, column).mean(axis=1, keepdims=True)
    whole = points(panel, "line", series, [x], mean_over_seeds(means), len(means))
    if not 1 < len(means) < MINIMUM_SEEDS:
        return whole
    apart = [points(panel, "seed", series, [x], mean_over_seeds(one[None]), 1) for one in means]
    return pd.concat([whole, *apart], ignore_index=True)


def profile(panel: str, series: Series, xs: Sequence[float], statistic: Statistic) -> pd.DataFrame:
    """A statistic of one key's scores that has a value for each x."""
    matrix = score_matrix(series.rows)
    return points(panel, "line", series, xs, estimate(matrix, statistic), len(matrix))


def mark(
    panel: str, kind: str, label: str, y: float, x: object = "", algorithm: str = "", key: str = ""
) -> pd.DataFrame:
    """A value that is not this project's run of a method: `published`, `older run` or `reference`."""
    row = {"panel": panel, "kind": kind, "series": label, "algorithm": algorithm, "x": str(x), "y": y,
           "key": key}  # fmt: skip
    return pd.DataFrame([row])


def remark(panel: str, text: str) -> pd.DataFrame:
    """Words in the place of what is missing."""
    return pd.DataFrame([{"panel": panel, "kind": "missing", "series": text}])


def missing(panel: str, rows: pd.DataFrame, wanted: Iterable[str], where: str = "") -> list[pd.DataFrame]:
    """A remark on those of the wanted methods that have no rows."""
    absent = [name for name in wanted if name not in set(rows["algorithm"])]
    return [remark(panel, f"no runs of {', '.join(absent)}{where}")] if absent else []


def gaps(panel: str, absent: Mapping[str, str]) -> list[pd.DataFrame]:
    """What the series lack, by their label; those that lack the same are one remark."""
    lacking: dict[str, list[str]] = {}
    for label, what in absent.items():
        lacking.setdefault(what, []).append(label)
    return [remark(panel, f"{', '.join(labels)}: no runs with {what}") for what, labels in lacking.items()]


def table_of(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """All parts in one table with the columns in order."""
    there = list(parts)
    return (pd.concat(there, ignore_index=True) if there else pd.DataFrame()).reindex(columns=COLUMNS)


def as_read(text: str) -> pd.DataFrame:
    """The table that was written as this CSV: a picture shows the numbers of its CSV, rounded as they are there."""
    types = dict.fromkeys(TEXTS, str)
    blank = {name: [""] for name in COLUMNS if name not in TEXTS}
    return pd.read_csv(io.StringIO(text), dtype=types, keep_default_na=False, na_values=blank)
