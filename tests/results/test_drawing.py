"""Pictures stay readable when most of what they could show is missing."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.results.board import read_board
from benchmark.results.figures import own, paper
from benchmark.results.figures.drawing import PANEL_HEIGHT, draw, style
from benchmark.results.figures.figure import Figure
from benchmark.results.style import method_colours
from tests.results.helpers import ROW, SEEDS, add, run

SOURCE = next(one for one in own.FIGURES if one.name == "context-source")
SIZE = next(one for one in own.FIGURES if one.name == "context-size")
ML45 = next(one for one in paper.FIGURES if one.name == "ml45")
METHODS = ("macaw", "pearl", "multitask-awr", "meta-bc")


@pytest.mark.parametrize("figure", [SOURCE, SIZE], ids=lambda one: one.name)
def test_remarks_take_no_room_from_what_is_drawn(figure: Figure, tmp_path: Path) -> None:
    lacking = {"pearl": {"context": "expert"}, "meta-bc": {"context_size": 64}}
    rows = [
        replace(ROW, algorithm=name, family=f"{family}-v1", data=f"omrl/{family}/mixed-v1", seed=seed, **change)
        for name in METHODS for family in ("cheetah-dir", "cheetah-vel") for seed in range(3)
        for change in ({}, lacking.get(name, {"context_size": 512}))
    ]  # fmt: skip
    add(tmp_path / "board", *(run(tmp_path / str(number), row) for number, row in enumerate(rows)))
    table = figure.table(read_board(tmp_path / "board"))
    assert (table["kind"] == "missing").sum() > 2
    with style():
        canvas = draw(figure, table, method_colours(METHODS))
        heights = [axis.get_window_extent().height / canvas.dpi for axis in canvas.axes if axis.get_visible()]
    assert min(heights) > 0.4 * PANEL_HEIGHT


@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_two_seeds_are_dots_about_their_mean_and_the_caption_says_so(tmp_path: Path, seeds: int) -> None:
    add(tmp_path / "board", *(run(tmp_path / str(row.seed), row) for row in SEEDS[:seeds]))
    with style():
        canvas = draw(SIZE, SIZE.table(read_board(tmp_path / "board")), method_colours(METHODS))
    panel = next(axis for axis in canvas.axes if axis.get_title(loc="left") == "cheetah-vel")
    mean, *others = panel.lines
    dots = [line for line in others if line.get_marker() == "."]
    assert [dot.get_ydata().tolist() for dot in dots] == ([[-100.0, -90.0]] if seeds == 2 else [])
    assert all(set(dot.get_xdata()) == set(mean.get_xdata()) for dot in dots)
    assert ("small dots" in canvas.get_supxlabel()) == (seeds == 2)


def test_methods_with_published_values_alone_are_named_and_their_places_too(tmp_path: Path) -> None:
    add(tmp_path / "board", run(tmp_path / "run", ROW))
    with style():
        canvas = draw(ML45, ML45.table(read_board(tmp_path / "board")), method_colours(METHODS))
    assert {text.get_text() for text in canvas.legends[0].get_texts()} >= {
        "pearl",
        "multitask-awr",
        "published",
    }
    assert [tick.get_text() for tick in canvas.axes[0].get_xticklabels()][-1] == "all"


def test_the_label_above_the_uppermost_line_has_room_within_the_panel(tmp_path: Path) -> None:
    rows = [
        replace(
            ROW, family=f"{family}-v1", data=f"omrl/{family}/mixed-v1", data_hash=family, expert_return=-90.0
        )
        for family in paper.FAMILIES
    ]
    add(tmp_path / "board", *(run(tmp_path / row.family, row) for row in rows))
    curves = next(one for one in own.FIGURES if one.name == "learning-curves")
    with style():
        canvas = draw(curves, curves.table(read_board(tmp_path / "board")), method_colours(METHODS))
    assert len(canvas.axes) == 4
    for axis in canvas.axes:
        label = next(one for one in axis.texts if one.get_text() == "expert")
        assert label.get_window_extent().y1 <= axis.get_window_extent().y1
