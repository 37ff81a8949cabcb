"""Table 1: what was fine-tuned online, by steps in the environment."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from benchmark.registry import build_config, find_algorithm
from benchmark.results.board import Board, read_board
from benchmark.results.figures import table_1
from benchmark.results.rows import as_frame
from benchmark.run_config import settings_text, usual_settings
from tests.results.helpers import REACH, SEEDS, board


def test_table_1_has_the_return_after_each_number_of_environment_steps(tmp_path: Path) -> None:
    settings = table_1.SETTINGS["macaw"]
    rows = as_frame([replace(row, data="omrl/cheetah-vel/random-v1", settings=settings) for row in SEEDS])
    tuned = [rows.assign(online_steps=steps, adapted_return=rows["adapted_return"] + steps / 1000)
             for steps in (0, 20_000)]  # fmt: skip
    found = table_1.table(
        Board(tmp_path, {tmp_path / "rows": pd.concat([*tuned, as_frame(SEEDS).assign(online_steps=0)])}, {})
    )
    line = next(line for line in table_1.markdown(found).splitlines() if "| macaw |" in line)
    ends = [f"{middle:.1f} [{middle - REACH:.0f}, {middle + REACH:.0f}]" for middle in (-90, -70)]
    assert (
        line
        == f"| cheetah-vel | random | mixed:256 | macaw | {len(SEEDS)} | {ends[0]} | no runs | {ends[1]} |"
    )


def test_table_1_averages_the_seeds_that_were_fine_tuned(tmp_path: Path) -> None:
    rows = as_frame([replace(row, settings=table_1.SETTINGS["macaw"]) for row in SEEDS])
    tuned = rows[rows["seed"] == 1].assign(online_steps=10_000)
    found = table_1.table(Board(tmp_path, {tmp_path / "rows": pd.concat([rows, tuned])}, {}))
    assert (
        found.loc[found["method"] == "macaw", ["return", "seeds"]].dropna().to_numpy().tolist()
        == [[-90, 1]] * 2
    )


@pytest.mark.parametrize("method", table_1.METHODS)
def test_table_1_looks_for_the_settings_that_the_protocol_gives(method: str) -> None:
    kind = find_algorithm(method)
    usual = build_config(kind, usual_settings(kind, "online-finetune"))
    assert settings_text(usual) == table_1.SETTINGS.get(method, "")


def test_a_method_that_was_not_fine_tuned_online_is_a_line_without_numbers(tmp_path: Path) -> None:
    text = table_1.markdown(table_1.table(read_board(board(tmp_path, *SEEDS))))
    assert text.count("| - | no runs | no runs | no runs |") == 9


def test_methods_without_runs_follow_their_familys_others(tmp_path: Path) -> None:
    rows = as_frame([replace(row, algorithm="multitask-awr") for row in SEEDS]).assign(online_steps=10_000)
    drawn = table_1.cells(table_1.table(Board(tmp_path, {tmp_path / "rows": rows}, {})))
    assert [line[:2] for line in drawn[1:5]] == [
        ["cheetah-vel (data mixed, context mixed:256)"],
        ["multitask-awr", str(len(SEEDS))],
        ["macaw", "-"],
        ["pearl", "-"],
    ]
    assert [line for line in drawn if len(line) == 1][1:] == [["walker-params"], ["ant-dir"]]


def test_a_method_that_was_fine_tuned_with_other_rounding_alone_says_so(tmp_path: Path) -> None:
    plain = as_frame([replace(row, algorithm="pearl") for row in SEEDS])
    rounded = plain.assign(settings="products=bfloat16", adapted_return=-50.0, online_steps=10_000)
    found = table_1.table(Board(tmp_path, {tmp_path / "rows": pd.concat([plain, rounded])}, {}))
    assert (
        f"| pearl, products=bfloat16 | {len(SEEDS)} | no runs | -50.0 [-50, -50] | no runs |"
        in table_1.markdown(found)
    )
    both = table_1.table(
        Board(
            tmp_path,
            {tmp_path / "rows": pd.concat([plain, rounded, plain.assign(online_steps=10_000)])},
            {},
        )
    )
    assert "bfloat16" not in table_1.markdown(both)
