"""Figures: what is drawn is what the runs say, keys are never mixed, and what is missing is said and not filled."""

from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from benchmark import commands_results as commands
from benchmark.errors import ResultError
from benchmark.files import LEADERBOARD
from benchmark.results.board import read_board
from benchmark.results.figures import aggregate, own, paper, regenerate, table_1
from benchmark.results.figures.drawn import as_read
from benchmark.results.rows import table_text
from tests.results.helpers import REACH, ROW, SEEDS, SOLVED, add, board, drawn, remarks, run, write_metrics


def test_committed_figures_show_the_committed_results() -> None:
    """`python -m benchmark figures` draws them anew."""
    for name, text in regenerate.tables(read_board(LEADERBOARD)).items():
        assert (LEADERBOARD / "figures" / f"{name}.csv").read_text() == text, f"{name} is out of date"
        for kind in ("png", "svg"):
            assert (LEADERBOARD / "figures" / f"{name}.{kind}").exists()


def test_figures_of_the_same_board_are_the_same_byte_for_byte(tmp_path: Path) -> None:
    rows = [*SEEDS, replace(ROW, algorithm="pearl"), replace(ROW, algorithm="some_$method$", settings="a=$x")]
    board(tmp_path, *rows)
    found = []
    for _ in range(2):
        written = [
            path.with_name(f"{path.stem}.{kind}")
            for path in regenerate.regenerate(read_board(tmp_path / "board"), ["figure-3", table_1.NAME])
            for kind in ("csv", "svg", "png")
        ]
        found.append({path.name: path.read_bytes() for path in written})
    assert len(found[0]) == 6
    for name, content in found[0].items():
        assert content == found[1][name], name
        assert b"<dc:date>" not in content, name


def test_a_board_without_results_is_drawn_in_words(tmp_path: Path) -> None:
    for name, text in regenerate.tables(read_board(tmp_path)).items():
        assert "no " in text, name
    some = ["figure-3", "adaptation-gain", table_1.NAME]
    assert len(list(regenerate.regenerate(read_board(tmp_path), some))) == len(some)


def test_figure_3_has_the_mean_and_interval_of_the_seeds_at_every_step(tmp_path: Path) -> None:
    folders = [run(tmp_path / f"seed-{row.seed}", row) for row in SEEDS]
    for row, folder in zip(SEEDS, folders, strict=True):
        curve = pd.read_csv(folder / "metrics.csv").assign(adapted_return=row.adapted_return)
        curve.to_csv(folder / "metrics.csv", index=False)
    add(tmp_path / "board", *folders)
    table = paper.figure_3(read_board(tmp_path / "board"))
    lines = as_read(table_text(drawn(table)))
    assert lines["x"].tolist() == ["5", "10"]
    assert lines["y"].tolist() == [-90.0, -90.0]
    assert lines["low"].to_numpy() == pytest.approx(-90 - REACH, abs=1e-3)
    assert lines["high"].to_numpy() == pytest.approx(-90 + REACH, abs=1e-3)
    assert remarks(table) == ["no runs of pearl, multitask-awr, meta-bc"]
    assert remarks(table, "ant-dir") == ["no runs of macaw, pearl, multitask-awr, meta-bc"]


def test_ticks_of_a_curve_within_one_decade_are_numbers(tmp_path: Path) -> None:
    list(regenerate.regenerate(read_board(board(tmp_path, *SEEDS)), ["figure-3"]))
    for path in (tmp_path / "board" / "figures").glob("*.svg"):
        assert "mathdefault" not in path.read_text(), f"{path.name} shows a tick's markup"


def test_published_values_are_told_from_older_runs_and_never_stand_in_for_runs(tmp_path: Path) -> None:
    table = paper.figure_3(read_board(tmp_path))
    exact = drawn(table, "published").set_index("algorithm")["y"].to_dict()
    assert exact == {"macaw": -128, "pearl": -306, "multitask-awr": -171, "meta-bc": -194.1}
    assert drawn(table, "older run", "ant-dir")["y"].tolist() == [201]
    assert not (table["kind"] == "line").any()


def test_seeds_that_were_tested_at_different_steps_are_averaged_where_all_were(tmp_path: Path) -> None:
    folders = [run(tmp_path / f"run-{row.seed}", row) for row in SEEDS[:2]]
    write_metrics(folders[1], 2, 10)
    add(tmp_path / "board", *folders)
    lines = drawn(own.learning_curves(read_board(tmp_path / "board")))
    assert lines[["x", "seeds"]].to_numpy().tolist() == [["10", 2]]


def test_what_learns_nothing_is_a_level_beside_the_learning_curves(tmp_path: Path) -> None:
    path = board(tmp_path, ROW, replace(ROW, algorithm="nearest-expert", steps=1))
    table = own.learning_curves(read_board(path))
    assert set(drawn(table)["series"]) == {"macaw"}
    levels = drawn(table, "reference").set_index("series")["y"].to_dict()
    assert levels == {"random": -300, "blind": -150, "expert": -20, "nearest-expert": -100}


def test_a_seed_of_fewer_steps_cuts_no_curve_short_and_is_named(tmp_path: Path) -> None:
    path = board(tmp_path, replace(SEEDS[0], steps=4), *SEEDS[1:])
    for figure in (paper.figure_3, own.learning_curves):
        table = figure(read_board(path))
        assert drawn(table)[["x", "seeds"]].to_numpy().tolist() == [["5", 2], ["10", 2]]
        assert [one for one in remarks(table) if "seed" in one] == [
            "macaw: without seed 0, trained for fewer steps"
        ]


@pytest.mark.parametrize(
    "change",
    [{"data_hash": "cd"}, {"protocol": 2}, {"mujoco": "4.0.0"}, {"algorithm_version": 2},
     {"algorithm_version": 2, "steps": 20}],
    ids=str,
)  # fmt: skip
def test_different_keys_are_series_whose_labels_say_what_differs(
    tmp_path: Path, change: dict[str, object]
) -> None:
    path = board(tmp_path, ROW, replace(ROW, seed=1, **change))  # type: ignore[arg-type]
    values = [{name: getattr(ROW, name) for name in change}, change]
    labels = {
        ", ".join(["macaw", *(f"{name.replace('_', ' ')} {value}" for name, value in one.items())])
        for one in values
    }
    for figure in (paper.figure_3, own.learning_curves, own.adaptation_gain, aggregate.performance_profiles):
        lines = drawn(figure(read_board(path)))
        of_curves = figure in (paper.figure_3, own.learning_curves)  # which have their steps along the axis
        assert set(lines["series"]) == (
            {one.partition(", steps")[0] for one in labels} if of_curves else labels
        )
        assert set(lines["seeds"]) == {1}


@pytest.mark.parametrize(
    "change",
    [{"context_size": 64}, {"split": "half"}, {"settings": "x=1"}, {"data": "omrl/cheetah-vel/expert-v1"},
     {"context": "expert"}],
    ids=str,
)  # fmt: skip
def test_figures_of_the_ordinary_conditions_show_no_others(tmp_path: Path, change: dict[str, object]) -> None:
    path = board(tmp_path, replace(ROW, **change))  # type: ignore[arg-type]
    for figure in (paper.figure_3, own.adaptation_gain, aggregate.performance_profiles, own.score_over_time):
        assert drawn(figure(read_board(path))).empty


def test_the_advantage_head_is_shown_by_quality_of_the_adaptation_data(tmp_path: Path) -> None:
    settings = "inner_data=early;advantage_head=False"
    rows = [replace(row, context="early", settings=settings) for row in SEEDS]
    table = paper.figure_5_left(read_board(board(tmp_path, *rows, replace(rows[0], context="late"))))
    (point,) = drawn(table).to_dict("records")
    assert (point["series"], point["x"], point["y"], point["seeds"]) == (
        "no advantage head",
        "early",
        -90.0,
        3,
    )
    assert "no runs with inner_data=late;advantage_head=False, context late" in remarks(table)
    assert len(remarks(table)) == 5


def test_columns_of_figure_5_of_different_lengths_are_not_joined(tmp_path: Path) -> None:
    late = replace(ROW, context="late", settings="inner_data=late")
    early = replace(ROW, context="early", settings="inner_data=early", steps=20)
    table = paper.figure_5_left(read_board(board(tmp_path / "left", late, early)))
    assert drawn(table)[["series", "x"]].to_numpy().tolist() == [
        ["advantage head, steps 10", "late"], ["advantage head, steps 20", "early"],
    ]  # fmt: skip
    splits = [replace(ROW, split="half"), replace(ROW, split="quarter", steps=20)]
    table = paper.figure_5_right(read_board(board(tmp_path / "right", *splits)))
    assert drawn(table)[["series", "x"]].to_numpy().tolist() == [
        ["macaw, steps 10", "20"],
        ["macaw, steps 20", "10"],
    ]


def test_the_weight_transform_is_shown_whatever_the_order_of_the_settings(tmp_path: Path) -> None:
    path = board(tmp_path, replace(ROW, settings="hidden_size=725;weight_transform=False"))
    table = paper.figure_5_middle(read_board(path))
    assert set(drawn(table)["series"]) == {"plain, as many parameters"}
    assert remarks(table) == ["no runs with default settings", "no runs with weight_transform=False"]


def test_sparsity_is_by_the_number_of_train_tasks_with_published_values_beside(tmp_path: Path) -> None:
    rows = [replace(row, split="sixteenth", algorithm="pearl") for row in SEEDS]
    table = paper.figure_5_right(read_board(board(tmp_path, *rows)))
    (point,) = drawn(table).to_dict("records")
    assert (point["algorithm"], point["x"], point["y"]) == ("pearl", "3", -90.0)
    published = drawn(table, "published")
    assert published[published["x"] == "3"]["y"].tolist() == [-103.1, -313.1, -267]
    assert list(dict.fromkeys(published["x"])) == list(paper.FIGURES[3].categories)


def test_context_sources_are_points_and_the_missing_ones_are_named(tmp_path: Path) -> None:
    online = [{"context": "online", "context_size": size, "score": float(size)} for size in (200, 400, 600)]
    rows = [replace(ROW, **change) for change in [*online, {"context": "random", "score": 7.0}]]  # type: ignore[arg-type]
    table = own.context_source(read_board(board(tmp_path, *SEEDS, *rows)))
    assert drawn(table)[["x", "y"]].to_numpy().tolist() == [
        ["mixed", 50.0],
        ["random", 7.0],
        ["online", 400.0],
    ]
    assert remarks(table) == [
        "macaw: of seed 0 alone",
        "macaw: no runs with context expert, medium, other",
        "no runs of pearl, multitask-awr, meta-bc",
    ]


def test_gain_is_adapted_minus_un_adapted_on_every_task(tmp_path: Path) -> None:
    folders = [
        run(tmp_path / str(row.seed), row, replace(row, task=7, unadapted_return=-100.0)) for row in SEEDS
    ]
    add(tmp_path / "board", *folders)
    lines = drawn(own.adaptation_gain(read_board(tmp_path / "board")))
    assert lines[["x", "y"]].to_numpy().tolist() == [["2", 110.0], ["7", 10.0]]


def test_context_sizes_make_one_line_and_the_missing_ones_are_named(tmp_path: Path) -> None:
    path = board(tmp_path, *SEEDS, replace(ROW, context_size=64, adapted_return=-200.0))
    table = own.context_size(read_board(path))
    lines = drawn(table)
    assert lines[["series", "x", "y", "seeds"]].to_numpy().tolist() == [
        ["macaw", "64", -200.0, 1], ["macaw", "256", -100.0, 1],
    ]  # fmt: skip
    assert "macaw: of seed 0 alone" in remarks(table)
    assert "macaw: no runs with 128, 512, 1000 transitions" in remarks(table)


@pytest.mark.parametrize(("seeds", "apart"), [(1, []), (2, [-100.0, -90.0]), (3, [])])
def test_a_point_of_two_seeds_shows_both_and_more_have_an_interval(
    tmp_path: Path, seeds: int, apart: list[float]
) -> None:
    table = own.context_size(read_board(board(tmp_path, *SEEDS[:seeds])))
    (point,) = drawn(table).to_dict("records")
    dots = drawn(table, "seed")[["series", "x", "y"]].to_numpy().tolist()
    assert dots == [["macaw", "256", value] for value in apart]
    assert (point["low"] < point["y"] < point["high"]) == (seeds == 3)


def test_profiles_fall_where_the_scores_are(tmp_path: Path) -> None:
    rows = [replace(row, score=30.0 + 20 * row.seed) for row in SEEDS]
    lines = drawn(aggregate.performance_profiles(read_board(board(tmp_path, *rows)))).set_index("x")
    assert [lines.loc[x, "y"] for x in ("28", "30", "50", "70")] == pytest.approx([1, 2 / 3, 1 / 3, 0])
    assert lines.loc["40", "low"] < 2 / 3 < lines.loc["40", "high"]


def test_figures_that_cannot_be_written_get_one_message(tmp_path: Path) -> None:
    path = board(tmp_path, ROW)
    (path / "figures").write_text("a file")
    with pytest.raises(ResultError, match="board cannot be written"):
        commands.figures(Namespace(folder=str(path)))


def test_over_all_families_each_counts_once_and_only_methods_that_ran_on_all(tmp_path: Path) -> None:
    other = {"family": "cheetah-dir-v1", "data": "omrl/cheetah-dir/mixed-v1", "data_hash": "cd"}
    path = board(
        tmp_path,
        *(replace(ROW, seed=seed, task=task, score=10.0 * seed) for seed in range(3) for task in (2, 7)),
        *(replace(ROW, seed=seed, score=70.0, **other) for seed in range(3)),  # type: ignore[arg-type]
        *(replace(ROW, seed=seed, algorithm="pearl", score=5.0) for seed in range(3)),
    )
    table = aggregate.aggregate_scores(read_board(path))
    lines = drawn(table, panel="mean").set_index(["algorithm", "x"])
    assert lines["y"].to_dict() == {
        ("macaw", "cheetah-dir"): 70.0, ("macaw", "cheetah-vel"): 10.0, ("macaw", "all families"): 40.0,
        ("pearl", "cheetah-vel"): 5.0,
    }  # fmt: skip
    alone, both = lines.loc[("macaw", "cheetah-vel")], lines.loc[("macaw", "all families")]
    assert both["high"] - both["y"] == pytest.approx((alone["high"] - alone["y"]) / 2), (
        "the other's seeds agree"
    )
    assert "family=cheetah-dir-v1, cheetah-vel-v1; split=standard;" in both["key"]
    assert "data_hash=cd, ab;" in both["key"]
    assert "not one result on each family: pearl" in remarks(table, "mean")
    gap = drawn(table, panel="optimality gap").set_index(["algorithm", "x"])["y"]
    assert gap["macaw", "all families"] == pytest.approx((30.0 + 90.0) / 2)
    profiles = drawn(aggregate.performance_profiles(read_board(path)), panel="all families").set_index("x")
    assert profiles.loc["50", "y"] == pytest.approx(0.5)
    assert profiles.loc["14", "y"] == pytest.approx((1 + 1 / 3) / 2)


def test_scores_say_where_a_methods_rounded_rows_stand_in(tmp_path: Path) -> None:
    rounded = replace(ROW, algorithm="pearl", settings="products=bfloat16")
    table = aggregate.aggregate_scores(read_board(board(tmp_path, ROW, rounded)))
    assert "pearl on cheetah-vel: products=bfloat16" in remarks(table, "median")
    assert not [one for one in remarks(table, "median") if one.startswith("macaw")]


def test_of_several_lengths_of_training_the_longest_is_drawn(tmp_path: Path) -> None:
    longer = [replace(row, steps=20, adapted_return=-50.0, score=80.0) for row in SEEDS]
    path = board(tmp_path, *longer, *SEEDS)
    table = own.adaptation_gain(read_board(path))
    assert drawn(table)["y"].tolist() == [150.0]
    assert "steps=20" in drawn(table)["key"].iloc[0]
    scores = aggregate.aggregate_scores(read_board(path))
    assert set(scores[scores["algorithm"] == "macaw"]["y"].dropna()) == {80.0, 20.0}
    steps = own.learning_curves(read_board(path))
    assert sorted(set(drawn(steps)["x"]), key=int) == ["10", "20"], (
        "a shorter curve does not replace a longer one"
    )


def test_ml45_shows_success_rates_with_any_settings(tmp_path: Path) -> None:
    rates = [
        replace(SOLVED, task=task, score=score, settings="batch=750")
        for task, score in ((45, 75.0), (46, 25.0))
    ]
    add(tmp_path / "board", run(tmp_path / "run", *rates))
    table = paper.ml45(read_board(tmp_path / "board"))
    assert drawn(table, panel="ml45")[["x", "y"]].to_numpy().tolist() == [
        ["45", 75.0],
        ["46", 25.0],
        ["all", 50.0],
    ]
    assert drawn(table, "published", "ml45")["y"].tolist() == [21, 26]
    assert remarks(table, "ml45") == ["no runs of multitask-awr, meta-bc"]


def test_settings_that_all_series_of_a_method_have_are_not_in_their_labels(tmp_path: Path) -> None:
    settings = ["batch=750;tasks_per_step=10", "adaptation_steps=5;batch=750;tasks_per_step=10"]
    rows = [replace(SOLVED, algorithm="multitask-awr", settings=one) for one in settings]
    table = paper.ml45(read_board(board(tmp_path, *rows)))
    labels = list(dict.fromkeys(drawn(table, panel="ml45")["series"]))
    assert labels == ["multitask-awr", "multitask-awr, adaptation_steps=5"]
    assert f"settings={settings[1]}" in drawn(table, panel="ml45")["key"].iloc[-1]


def test_rows_rounded_otherwise_stand_in_only_where_a_method_has_no_others(tmp_path: Path) -> None:
    rounded = replace(ROW, algorithm="pearl", settings="products=bfloat16", adapted_return=-50.0)
    elsewhere = replace(rounded, family="ant-dir-v1", data="omrl/ant-dir/mixed-v1", data_hash="cd")
    table = paper.figure_3(read_board(board(tmp_path, replace(ROW, algorithm="pearl"), rounded, elsewhere)))
    assert set(drawn(table)["series"]) == {"pearl"}
    assert set(drawn(table)["y"]) == {-100.0}
    assert set(drawn(table, panel="ant-dir")["series"]) == {"pearl, products=bfloat16"}
    assert remarks(table, "ant-dir") == ["no runs of macaw, multitask-awr, meta-bc"]


def test_a_line_is_rounded_in_one_way_along_its_points(tmp_path: Path) -> None:
    """Rounded rows of 64 transitions take the other sizes' rounded rows with them, but not where there are none."""
    plain = replace(ROW, algorithm="pearl")
    rounded = replace(plain, settings="products=bfloat16", adapted_return=-50.0)
    few = replace(rounded, context_size=64, adapted_return=-60.0)
    table = own.context_size(read_board(board(tmp_path, plain, rounded, few)))
    assert set(drawn(table)["series"]) == {"pearl, products=bfloat16"}
    assert sorted(drawn(table)["y"]) == [-60.0, -50.0]
    apart = own.context_size(read_board(board(tmp_path / "apart", plain, few)))
    assert set(drawn(apart)["series"]) == {"pearl", "pearl, products=bfloat16"}


def test_methods_may_be_called_what_they_like(tmp_path: Path) -> None:
    path = board(tmp_path, *(replace(row, algorithm="2026") for row in SEEDS))
    assert set(drawn(own.learning_curves(read_board(path)))["series"]) == {"2026"}
