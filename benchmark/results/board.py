"""The files of a leaderboard folder. Runs are added all or none: everything is read and checked, then written."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from benchmark.errors import ResultError, SubmissionError
from benchmark.results.curves import read_curves, run_curve, with_curve
from benchmark.results.rows import KEY, OF_A_TEST, read_rows, table_text, write_table
from benchmark.results.submission import Submission, read_submissions
from benchmark.results.trust import OWN, read_mark

OF_ONE_RUN = [*(name for name in KEY if name not in OF_A_TEST), "seed"]
"""Columns that have one value in a run's `result.csv`."""


@dataclass(frozen=True)
class Board:
    """What lies in FOLDER/results/<family>/<algorithm>.csv, likewise in FOLDER/curves, and in FOLDER/submissions."""

    folder: Path
    results: Mapping[Path, pd.DataFrame]
    curves: Mapping[Path, pd.DataFrame]
    submissions: tuple[Submission, ...] = ()
    trust: Mapping[str, str] = field(default_factory=dict)
    """The mark of every submission, by its name."""

    def rows(self) -> pd.DataFrame:
        """All rows, with `trust` and the name of the `submission` they are of, which is empty for the project's own.

        Raises ResultError if there are none.
        """
        frames = [frame.assign(trust=OWN, submission="") for frame in self.results.values()]
        frames += [
            one.rows.assign(trust=self.trust[one.name], submission=one.name) for one in self.submissions
        ]
        if not frames:
            raise ResultError(
                f"{self.folder / 'results'} holds no results yet: add some with "
                "python -m benchmark leaderboard --add RUN."
            )
        return pd.concat(frames, ignore_index=True)


def read_board(folder: Path) -> Board:
    """Read all result rows, curves and submissions of the folder.

    Raises ResultError or SubmissionError if a file is damaged or contradicts itself, or if a key is there twice: in a
    submission and in the results or another submission.
    """
    results = {path: read_rows(path) for path in sorted((folder / "results").glob("*/*.csv"))}
    for path, rows in results.items():
        _refuse_conflicts(rows, path)
    curves = {path: read_curves(path) for path in sorted((folder / "curves").glob("*/*.csv"))}
    submissions = read_submissions(folder / "submissions")
    board = Board(folder, results, curves, submissions, {one.name: read_mark(one) for one in submissions})
    refuse_taken_keys(board)
    return board


def refuse_taken_keys(board: Board) -> None:
    """Raise SubmissionError where rows of a submission would be averaged with others: theirs is another row's key."""
    owners = {key: str(path) for path, rows in board.results.items() for key in _keys(rows)}
    for submission in board.submissions:
        for key in _keys(submission.rows):
            if key in owners:
                named = dict(zip(KEY, key, strict=True))
                raise SubmissionError(
                    f"{submission.folder} has rows of {named['algorithm']} on {named['family']} with the very key of "
                    f"rows in {owners[key]}. Give the algorithm a name or version of its own."
                )
            owners[key] = str(submission.folder)


def _keys(rows: pd.DataFrame) -> list[tuple[object, ...]]:
    return list(rows[list(KEY)].drop_duplicates().itertuples(index=False, name=None))


def find_runs(places: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """The `result.csv` files in these files or folders, and the folders of runs that have none yet.

    Raises ResultError for a place without any finished run.
    """
    finished: dict[Path, Path] = {}
    unfinished: dict[Path, Path] = {}
    for place in places:
        here = [place] if place.is_file() else sorted(place.rglob("result.csv"))
        begun = [path.parent for path in sorted(place.rglob("config.toml"))]
        begun = [folder for folder in begun if not (folder / "result.csv").exists()]
        if not here:
            names = f" Not finished: {', '.join(map(str, begun))}." if begun else ""
            raise ResultError(
                f"{place} holds no result.csv: the run is not finished, or the path is wrong.{names}"
            )
        finished |= {path.resolve(): path for path in here}
        unfinished |= {path.resolve(): path for path in begun}
    return list(finished.values()), list(unfinished.values())


def add_runs(board: Board, results: Iterable[Path]) -> Board:
    """The board with the rows and learning curves of the runs whose `result.csv` these are; nothing is written.

    Rows that are there already stay. Raises ResultError for the same (key, seed, task) with other returns, and for
    a run whose curve cannot be read or does not end where its rows were made.
    """
    for result in results:
        board = _with_run(board, result)
    refuse_taken_keys(board)
    return board


def _with_run(board: Board, result: Path) -> Board:
    rows = read_rows(result)
    for name in OF_ONE_RUN:
        if rows[name].nunique() > 1:
            raise ResultError(f"{result} has more than one {name}: {list(rows[name].unique())}.")
    curve = run_curve(result, rows)
    first = rows.iloc[0]
    file = Path(str(first["family"]).rpartition("-v")[0]) / f"{first['algorithm']}.csv"
    path, curve_path = board.folder / "results" / file, board.folder / "curves" / file
    if path in board.results:
        rows = pd.concat([board.results[path], rows]).drop_duplicates()
    _refuse_conflicts(rows, path)
    rows = rows.sort_values([*KEY, "seed", "task"], kind="stable")
    return replace(
        board,
        results={**board.results, path: rows},
        curves={**board.curves, curve_path: with_curve(board.curves.get(curve_path), curve)},
    )


def _refuse_conflicts(rows: pd.DataFrame, path: Path) -> None:
    repeated = rows[rows.duplicated([*KEY, "seed", "task"], keep=False)]
    if len(repeated):
        first = repeated.iloc[0]
        raise ResultError(
            f"{path}: {len(repeated)} rows have the key of another row but other returns, first seed {first['seed']}, "
            f"task {first['task']}, settings '{first['settings']}'. Remove the rows that are out of date."
        )


def write_changes(before: Board, after: Board) -> list[Path]:
    """Write the tables of `after` whose files would not be those of `before`; returns their paths."""
    old = {**before.results, **before.curves}
    new = {**after.results, **after.curves}
    changed = [path for path in sorted(new) if path not in old or _differ(old[path], new[path])]
    for path in changed:
        write_table(path, new[path])
    return changed


def _differ(old: pd.DataFrame, new: pd.DataFrame) -> bool:
    return new is not old and table_text(new) != table_text(old)


@contextmanager
def writing_errors(folder: Path) -> Iterator[None]:
    """Within the block an OSError becomes a ResultError that names the folder."""
    try:
        yield
    except OSError as error:
        raise ResultError(
            f"the leaderboard in {folder} cannot be written: {error}. Choose another --folder, or mend this one and "
            "give the same command again."
        ) from error
