"""The picture of learning curves: seeds of one key are averaged, curves of different keys never."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from benchmark.results.board import read_board
from benchmark.results.curves import draw_curves, lines
from benchmark.results.rows import ResultRow
from tests.results.helpers import ROW, add, run


def curves(folder: Path, *rows: ResultRow) -> pd.DataFrame:
    add(folder / "board", *(run(folder / f"run-{number}", row) for number, row in enumerate(rows)))
    return pd.concat(read_board(folder / "board").curves.values())


def test_seeds_of_one_key_are_one_line(tmp_path: Path) -> None:
    (line,) = lines(curves(tmp_path, ROW, replace(ROW, seed=1)))
    assert (line.label, line.seeds, line.points.index.tolist()) == ("macaw", 2, [5, 10])
    assert line.points.loc[10].tolist() == [-100.0, -100.0, -100.0, -200.0]


@pytest.mark.parametrize(
    "change",
    [{"context_size": 64}, {"data": "omrl/cheetah-vel/expert-v1"}, {"data_hash": "cd"}, {"protocol": 2},
     {"mujoco": "4.0.0"}, {"algorithm_version": 2}],
)  # fmt: skip
def test_different_keys_are_lines_whose_labels_say_what_differs(
    tmp_path: Path, change: dict[str, object]
) -> None:
    found = lines(curves(tmp_path, ROW, replace(ROW, seed=1, **change)))  # type: ignore[arg-type]
    assert [line.seeds for line in found] == [1, 1]
    ((name, value),) = change.items()
    assert {line.label for line in found} == {f"macaw, {name} {getattr(ROW, name)}", f"macaw, {name} {value}"}


def test_a_picture_is_drawn_of_what_can_be_drawn(tmp_path: Path) -> None:
    rows = [ROW, replace(ROW, mujoco="4.0.0"), replace(ROW, family="cheetah-vel-v2", expert_return=-10.0)]
    curves(tmp_path, *rows)
    draw_curves(list(read_board(tmp_path / "board").curves), tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 10_000


def test_a_family_without_a_curve_of_the_standard_split_is_drawn_empty(tmp_path: Path) -> None:
    curves(tmp_path, replace(ROW, split="half"))
    draw_curves(list(read_board(tmp_path / "board").curves), tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 10_000
