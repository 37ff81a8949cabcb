"""Two methods side by side: what may be compared, what is found, and what is said when seeds do not suffice."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import ArrayLike

from benchmark import commands_results
from benchmark.cli import main
from benchmark.errors import ResultError, UnknownNameError
from benchmark.randomness import numpy_stream
from benchmark.results.board import read_board
from benchmark.results.comparison import Comparison, Difference, Interval, Line, compare
from benchmark.results.comparison_text import printed_comparison, verdict_text
from benchmark.results.intervals import Estimate, difference, estimate
from benchmark.results.rows import ResultRow, as_frame, read_rows, score_matrix, write_table
from benchmark.results.selection import Choice
from benchmark.results.statistics import interquartile_mean, mean, probability_of_improvement
from tests.results.helpers import ROW

SEEDS = numpy_stream(0, "test").normal(0, 3, size=(2, 5, 1)) + numpy_stream(1, "test").normal(
    0, 1, size=(2, 5, 3)
)
MACAW, AWR = SEEDS[0] + [80, 70, 90], SEEDS[1, :4] + [60, 55, 85]
USUAL = Choice()


def result(
    algorithm: str, scores: ArrayLike, family: str = "cheetah-vel-v1", **key: object
) -> list[ResultRow]:
    """The rows of a result with these scores (seed, task)."""
    name = family.rpartition("-v")[0]
    row = replace(
        ROW, algorithm=algorithm, family=family, data=f"omrl/{name}/mixed-v1", data_hash=f"hash of {name}"
    )
    return [
        replace(row, seed=seed, task=task, score=value, **key)  # type: ignore[arg-type]
        for (seed, task), value in np.ndenumerate(np.asarray(scores, dtype=float))
    ]


def put(folder: Path, *results: list[ResultRow]) -> Path:
    """A leaderboard folder with these results, one file per family and algorithm."""
    files: dict[Path, list[ResultRow]] = {}
    for row in (row for rows in results for row in rows):
        path = folder / "results" / row.family.rpartition("-v")[0] / f"{row.algorithm}.csv"
        files.setdefault(path, []).append(row)
    for path, rows in files.items():
        write_table(path, as_frame(rows))
    return folder


def compared(folder: Path, *results: list[ResultRow], names: tuple[str, str] = ("macaw", "awr"),
             choice: Choice = USUAL) -> list[Comparison]:  # fmt: skip
    return compare(read_board(put(folder, *results)), *names, choice)


def test_a_family_is_compared_by_the_statistics_of_its_scores(tmp_path: Path) -> None:
    (found,) = compared(tmp_path, result("macaw", MACAW), result("awr", AWR, steps=20))
    (line,) = found.families
    macaw, awr = np.round(MACAW, 3), np.round(AWR, 3)
    assert found.over_families is None
    assert (line.name, line.tasks, line.seeds, line.steps) == ("cheetah-vel-v1", 3, (5, 4), (10, 20))
    for statistic, shown in ((interquartile_mean, line.interquartile_mean), (mean, line.mean)):
        assert (shown.first.value, shown.second.value) == (statistic(macaw), statistic(awr))
        expected = difference(estimate(macaw, statistic), estimate(awr, statistic)).interval()
        assert (shown.interval.low, shown.interval.high) == expected
    assert line.improvement.value == probability_of_improvement(macaw, awr)
    assert line.improvement.low < line.improvement.value <= line.improvement.high
    assert line.interquartile_mean.verdict == "better"


def test_the_other_way_round_it_is_worse_by_as_much(tmp_path: Path) -> None:
    rows = result("macaw", MACAW), result("awr", AWR)
    (there,), (back,) = compared(tmp_path, *rows), compared(tmp_path, *rows, names=("awr", "macaw"))
    one, other = there.families[0], back.families[0]
    assert other.interquartile_mean.verdict == "worse"
    assert one.interquartile_mean.interval.low == -other.interquartile_mean.interval.high
    assert one.improvement.low == pytest.approx(1 - other.improvement.high, abs=1e-6)


def test_over_families_each_counts_once(tmp_path: Path) -> None:
    (found,) = compared(
        tmp_path,
        result("macaw", np.full((3, 3), 80.0)), result("awr", np.full((3, 3), 60.0)),
        result("macaw", np.full((4, 1), 50.0), "cheetah-dir-v1"),
        result("awr", np.full((5, 1), 90.0), "cheetah-dir-v1"),
        result("macaw", MACAW, "ant-dir-v1"),
    )  # fmt: skip
    assert [line.name for line in found.families] == ["cheetah-dir-v1", "cheetah-vel-v1"]
    assert [line.interquartile_mean.verdict for line in found.families] == ["worse", "better"]
    over = found.over_families
    assert over is not None
    assert (over.tasks, over.seeds, over.steps) == (4, (3, 3), None)
    assert over.interquartile_mean.interval.value == pytest.approx(-10)
    assert over.mean.first.value == pytest.approx(65)
    assert over.improvement.value == 0.5


def test_seeds_that_do_not_suffice_are_said_not_to(tmp_path: Path) -> None:
    (found,) = compared(tmp_path, result("macaw", MACAW), result("awr", MACAW[:4] + 0.5))
    (line,) = found.families
    assert line.interquartile_mean.verdict == "undecided"
    text = printed_comparison("macaw", "awr", found)
    assert "These 5 and 4 seeds do not suffice to tell which is better." in text


def test_too_few_seeds_have_no_interval(tmp_path: Path) -> None:
    (found,) = compared(tmp_path, result("macaw", MACAW), result("awr", AWR[:2]),
                        result("macaw", MACAW, "ant-dir-v1"), result("awr", AWR, "ant-dir-v1"))  # fmt: skip
    assert [line.interquartile_mean.verdict for line in found.families] == ["better", "too few seeds"]
    assert found.over_families is not None and found.over_families.mean.verdict == "too few seeds"
    text = printed_comparison("macaw", "awr", found)
    assert "there are 5 and 2 seeds, and at least 3\n" in text
    assert "nan" not in text


def test_a_comparison_is_the_same_every_time(tmp_path: Path) -> None:
    rows = result("macaw", MACAW), result("awr", AWR)
    texts = {printed_comparison("macaw", "awr", compared(tmp_path, *rows)[0]) for _ in range(2)}
    assert len(texts) == 1


@pytest.mark.parametrize(
    "change",
    [{"data_hash": "cd"}, {"context_size": 64}, {"mujoco": "4.0.0"}, {"protocol": 2},
     {"data": "omrl/cheetah-vel/expert-v1"}],
)  # fmt: skip
def test_rows_of_other_conditions_are_never_compared(tmp_path: Path, change: dict[str, object]) -> None:
    rows = result("macaw", MACAW), result("awr", AWR, **change)
    reason = "awr has no such results" if "context_size" in change else f"differ in {next(iter(change))}"
    with pytest.raises(ResultError, match=reason):
        compared(tmp_path, *rows)


def test_what_both_have_under_several_conditions_is_compared_apart(tmp_path: Path) -> None:
    rows = [result(name, scores, **key) for name, scores in (("macaw", MACAW), ("awr", AWR))
            for key in ({}, {"protocol": 2}, {"data": "omrl/cheetah-vel/mixed-full-v1"})]  # fmt: skip
    found = compared(tmp_path, *rows, result("macaw", MACAW, mujoco="4.0.0"))
    assert [(dict(one.shared)["data"], dict(one.shared)["protocol"]) for one in found] == [
        ("mixed", "1"), ("mixed", "2"), ("mixed-full", "1"),
    ]  # fmt: skip
    assert [len(one.families) for one in found] == [1, 1, 1]


def test_every_number_of_online_steps_is_compared_apart(tmp_path: Path) -> None:
    rows = [result(name, scores, family, online_steps=steps) for name, scores in (("macaw", MACAW), ("awr", AWR))
            for family in ("cheetah-vel-v1", "ant-dir-v1") for steps in (0, 10_000, 20_000)]  # fmt: skip
    found = compared(tmp_path, *rows)
    assert sorted(dict(one.shared).get("online steps", "none") for one in found) == [
        "10,000",
        "20,000",
        "none",
    ]
    assert all(len(one.families) == 2 for one in found)


def test_a_family_never_counts_twice(tmp_path: Path) -> None:
    rows = [result(name, scores, family) for name, scores in (("macaw", MACAW), ("awr", AWR))
            for family in ("cheetah-vel-v1", "cheetah-vel-v2")]  # fmt: skip
    with pytest.raises(ResultError, match="cheetah-vel-v1, cheetah-vel-v2.*--family"):
        compared(tmp_path, *rows)
    (found,) = compared(tmp_path, *rows, choice=Choice("cheetah-vel-v2"))
    assert [line.name for line in found.families] == ["cheetah-vel-v2"]


def test_a_result_is_named_by_what_tells_it_apart(tmp_path: Path) -> None:
    rows = result("macaw", MACAW), result("macaw", AWR, settings="advantage_head=False"), result("awr", AWR)
    names = ("macaw", "macaw:settings=advantage_head=False")
    assert compared(tmp_path, *rows, names=names)[0].families[0].interquartile_mean.verdict == "better"
    assert compared(tmp_path, *rows)[0].families[0].seeds == (5, 4)
    more = result("macaw", MACAW + 1, steps=500)
    with pytest.raises(
        ResultError, match="several results on cheetah-vel-v1, with steps 10, 500.*macaw:steps=500"
    ):
        compared(tmp_path, *rows, more)
    (found,) = compared(tmp_path, *rows, more, names=("macaw:steps=500", "macaw:steps=10"))
    assert found.families[0].steps == (500, 10)


@pytest.mark.parametrize(
    ("names", "choice", "message"),
    [
        (("mackaw", "awr"), USUAL, "unknown algorithm among the results 'mackaw'. Did you mean 'macaw'.*--add"),
        (("macaw", "macaw"), USUAL, "cannot be compared with itself"),
        (("macaw:seed=1", "awr"), USUAL, "unknown column 'seed'. Known: algorithm_version, settings, steps"),
        (("macaw:settings=x=1", "awr"), USUAL, "no results with settings 'x=1', only with ''"),
        (("macaw:steps=11", "awr"), USUAL, "no results with steps '11'.*macaw:steps=10$"),
        (("macaw", "awr"), Choice("cheetah-val"), "family with results 'cheetah-val'. Did you mean 'cheetah-vel"),
        (("macaw", "awr"), Choice(split="half"), "unknown split with results 'half'. Known: standard"),
        (("macaw", "awr"), Choice(context="expert"), "unknown context with results 'expert'. Known: mixed"),
        (("macaw", "awr"), Choice(context="mixed:x"), "SOURCE:SIZE such as mixed:64, not 'mixed:x'"),
        (("macaw", "awr"), Choice(context="mixed:64"),
         r"macaw has no such results, only cheetah-vel-v1 \(split standard, context mixed\)"),
        (("macaw", "bc"), USUAL, "macaw was run on cheetah-vel-v1 and bc was run on ant-dir-v1"),
        (("macaw", "awr"), Choice("ant-dir"), "ant-dir, split standard, context mixed.: macaw has no such results"),
        (("macaw", "pearl"), USUAL, "macaw was tested on the tasks 0, 1, 2, but pearl on 0, 1"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_gets_one_message(
    tmp_path: Path, names: tuple[str, str], choice: Choice, message: str
) -> None:
    rows = (result("macaw", MACAW), result("awr", AWR), result("bc", AWR, "ant-dir-v1"),
            result("pearl", AWR[:, :2]))  # fmt: skip
    with pytest.raises((ResultError, UnknownNameError), match=message):
        compared(tmp_path, *rows, names=names, choice=choice)


def test_an_empty_board_says_how_to_fill_it(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="holds no results yet.*leaderboard --add"):
        compare(read_board(tmp_path), "macaw", "awr", USUAL)


def test_online_contexts_are_found_by_their_source(tmp_path: Path) -> None:
    key = {"context": "online", "context_size": 200}
    rows = result("macaw", MACAW, **key), result("awr", AWR, **key)
    (found,) = compared(tmp_path, *rows, choice=Choice(context="online"))
    assert dict(found.shared)["context"] == "online:200"


def test_a_score_matrix_refuses_rows_of_different_keys(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    write_table(path, as_frame(result("macaw", MACAW)))
    np.testing.assert_allclose(score_matrix(read_rows(path).sample(frac=1, random_state=0)), MACAW, atol=1e-3)
    write_table(path, as_frame([*result("macaw", MACAW), *result("awr", AWR, protocol=2)]))
    with pytest.raises(ResultError, match="differ in protocol, algorithm have different keys"):
        score_matrix(read_rows(path))


def test_the_verb_prints_the_verdict_within_80_columns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands_results, "LEADERBOARD", tmp_path)
    put(tmp_path, result("macaw", MACAW), result("multitask-awr", AWR),
        result("macaw", MACAW * 100, "ant-dir-v1"), result("multitask-awr", AWR * -100, "ant-dir-v1"))  # fmt: skip
    assert main(["compare", "macaw", "multitask-awr"]) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    for text in ("macaw against multitask-awr", "split standard, context mixed, data mixed, protocol 1, MuJoCo 3.3.0",
                 "cheetah-vel-v1: 3 test tasks, 5 and 4 seeds, 10 and 10 steps", "mean over 2 families: 6 test tasks",
                 "macaw is better than multitask-awr"):  # fmt: skip
        assert text in shown
    assert main(["compare", "macaw", "multitask-awr", "--family", "ant"]) == 2
    assert "error: unknown family with results 'ant'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("middle", "average", "sentence"),
    [
        (9.0, 9.0, "a is better than b."),
        (-9.0, -9.0, "a is worse than b."),
        (0.1, 0.1, "These 3 and 4 seeds do not suffice to tell which is better."),
        (9.0, 0.1, "a is better than b by the interquartile mean; by the mean these seeds do not suffice."),
        (0.1, -9.0, "These 3 and 4 seeds do not suffice to tell which is better by the interquartile mean; by the mean "
         "a is worse."),
        (9.0, -9.0, "a is better than b by the interquartile mean; by the mean a is worse."),
    ],
)  # fmt: skip
def test_the_verdict_is_a_plain_sentence(middle: float, average: float, sentence: str) -> None:
    def ahead(by: float) -> Difference:
        return Difference(*(Estimate(*map(np.array, (value, 1.0, 5.0))) for value in (by, 0.0)))

    line = Line("ant-dir-v1", 3, (3, 4), None, ahead(middle), ahead(average), None, Interval(0.5, 0.2, 0.8))
    assert verdict_text("a", "b", line) == sentence
