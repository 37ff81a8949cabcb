"""The leaderboard as text: rows can be told apart, and a terminal of 80 columns shows every number."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.protocol import CONTEXT_SIZE
from benchmark.results.rows import ResultRow, data_label
from benchmark.results.tables import (
    ALWAYS_SHOWN,
    NUMBERS,
    USUAL_CONTEXT_SIZE,
    context_label,
    printed_table,
    readme_table,
    under_usual_conditions,
)
from tests.results.helpers import ROW, SOLVED, averaged, two_lines

KEYS = [
    {"context_size": 64}, {"context": "online"}, {"data": "omrl/cheetah-vel/expert-v1"}, {"data_hash": "cd"},
    {"protocol": 2}, {"mujoco": "4.0.0"}, {"algorithm_version": 2}, {"settings": "x=1"}, {"steps": 20},
    {"split": "half"}, {"family": "cheetah-vel-v2"}, {"algorithm": "meta-bc"},
]  # fmt: skip
WIDE = replace(ROW, algorithm="multitask-awr", steps=1_000_000, unadapted_return=-1234.5, adapted_return=-1234.5,
               score=-123.4, blind_return=-12345.6, expert_return=-12345.6)  # fmt: skip


def cells(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]


def test_the_size_that_goes_without_saying_is_the_protocols() -> None:
    assert USUAL_CONTEXT_SIZE == CONTEXT_SIZE
    assert context_label("mixed", 256) == "mixed"
    assert context_label("mixed", 64) == "mixed:64"
    assert context_label("online", 256) == "online:256"


@pytest.mark.parametrize("change", KEYS, ids=str)
def test_no_two_rows_have_the_same_labels(tmp_path: Path, change: dict[str, object]) -> None:
    frame = two_lines(tmp_path, **change)
    heading, _, *rows = cells(readme_table(frame))
    labels = [row[: -len(NUMBERS)] for row in rows]
    assert len(heading) == len(rows[0])
    assert labels[0] != labels[1]
    for value in change.values():
        assert data_label(str(value)) in printed_table(frame)


@pytest.mark.parametrize(
    ("change", "stays"),
    [
        ({"context_size": 64}, False), ({"context": "online"}, False), ({"split": "half"}, False),
        ({"online_steps": 10_000}, False), ({"settings": "x=1"}, True), ({"data": "omrl/cheetah-vel/expert-v1"}, True),
    ],
    ids=str,
)  # fmt: skip
def test_the_readme_has_the_rows_under_usual_conditions(
    tmp_path: Path, change: dict[str, object], stays: bool
) -> None:
    kept = under_usual_conditions(two_lines(tmp_path, **change))
    assert len(kept) == 1 + stays
    assert len(cells(readme_table(kept))) == 3 + stays


def test_what_is_the_same_for_all_is_not_a_column(tmp_path: Path) -> None:
    other = replace(ROW, family="cheetah-dir-v1", data="omrl/cheetah-dir/mixed-v1", data_hash="cd",
                    algorithm="meta-bc", algorithm_version=2)  # fmt: skip
    heading, *_ = cells(readme_table(averaged(tmp_path, ROW, other)))
    assert heading == [*ALWAYS_SHOWN, *NUMBERS.values()]


@pytest.mark.parametrize("data", ["imported/cheetah-vel/mixed-v0", "omrl/cheetah-vel/mixed-full-v1"])
def test_data_other_than_the_usual_are_always_named(tmp_path: Path, data: str) -> None:
    frame = averaged(tmp_path, replace(ROW, data=data), replace(ROW, seed=1, data=data))
    assert f"| {data_label(data)} |" in readme_table(frame)
    assert f"data {data_label(data)}" in printed_table(frame)
    assert "imported" in data_label(data) or data_label(data) == "mixed-full"


def test_one_seed_has_no_standard_error(tmp_path: Path) -> None:
    frame = averaged(tmp_path, ROW)
    heading, _, row = cells(readme_table(frame))
    assert dict(zip(heading, row, strict=True))["± s.e."] == "-"
    assert dict(zip(heading, row, strict=True))["interquartile mean [95 %]"] == "50.0"
    assert "-100.0 ± -" in printed_table(frame)
    assert "nan" not in readme_table(frame) + printed_table(frame)


def test_three_seeds_have_an_interval_of_the_score(tmp_path: Path) -> None:
    frame = averaged(tmp_path, *(replace(ROW, seed=seed, score=50.0 + seed) for seed in range(3)))
    heading, _, row = cells(readme_table(frame))
    reach = 4.303 / 3**0.5  # Student's, of three values one apart
    expected = f"51.0 [{51 - reach:.1f}, {51 + reach:.1f}]"
    assert dict(zip(heading, row, strict=True))["interquartile mean [95 %]"] == expected


def test_blocks_fit_80_columns_with_every_number_in_full(tmp_path: Path) -> None:
    rows: list[ResultRow] = [
        WIDE,
        replace(WIDE, seed=1, adapted_return=-1000.0),
        replace(WIDE, algorithm="a-method-with-a-long-name"),
        replace(WIDE, settings=";".join(f"some_setting_{number}=0.001" for number in range(6))),
        replace(WIDE, context_size=64),
    ]
    text = printed_table(averaged(tmp_path, *rows))
    assert max(map(len, text.splitlines())) <= 80
    assert "some_setting_5=0.001" in text
    first, second = text.split("\n\n")
    assert first.splitlines()[0] == "cheetah-vel-v1, split standard, context mixed:64"
    assert second.splitlines()[0] == "cheetah-vel-v1, split standard, context mixed"
    for shown in ("multitask-awr 1000000     2    -1234.5", "-1117.2 ± 117.2", "-12345.6 -12345.6"):
        assert shown in second
    assert "a-method-with-a-long-name\n              1000000" in second


def test_success_rates_stand_beside_returns_where_there_are_any(tmp_path: Path) -> None:
    frame = averaged(tmp_path, ROW, SOLVED)
    plain, solved = sorted(printed_table(frame).split("\n\n"))
    assert "success" not in plain
    assert "900.0" in solved
    told = " ".join(solved.split())
    assert (
        "score is the success rate in percent; un-adapted 0.0, random 0.0, blind 10.0, expert 100.0" in told
    )
    assert max(map(len, solved.splitlines())) <= 80
    heading, _, *rows = cells(readme_table(frame))
    assert [dict(zip(heading, row, strict=True))["score"] for row in rows] == ["50.0", "75.0"]
    assert "nan" not in readme_table(frame) + printed_table(frame)
