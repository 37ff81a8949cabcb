"""A comparison's line over the last tests in training, where a single test may be luck."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.randomness import numpy_stream
from benchmark.results.board import read_board
from benchmark.results.comparison import compare
from benchmark.results.comparison_text import printed_comparison
from benchmark.results.curves import LAST_TESTS
from benchmark.results.intervals import estimate
from benchmark.results.rows import ResultRow, write_table
from benchmark.results.selection import Choice
from benchmark.results.statistics import mean
from tests.results.helpers import ROW, add, run

TESTS = 2 * LAST_TESTS
SCORES = numpy_stream(0, "test").normal(60, 5, size=(2, 3, TESTS)).round(3)
"""Of two methods' seeds in each of their tests."""
METHODS = ("macaw", "pearl")
USUAL = replace(ROW, steps=1000)


def trained(folder: Path, scores: np.ndarray, *rows: ResultRow) -> Path:
    """A finished run with these rows, which was tested at even distances up to their step."""
    run(folder, *rows)
    steps = np.arange(1, len(scores) + 1) * rows[0].steps // len(scores)
    metrics = {"step": steps, "unadapted_return": -200.0, "adapted_return": -100.0, "score": scores}
    write_table(folder / "metrics.csv", pd.DataFrame(metrics))
    return folder


def board(folder: Path, scores: np.ndarray = SCORES, row: ResultRow = USUAL, **other: object) -> Path:
    """A board with both methods' runs like this row; each has the row with this change too where there is one."""
    runs = []
    for name, seeds in zip(METHODS, scores, strict=True):
        for seed, curve in enumerate(seeds):
            one = replace(row, algorithm=name, seed=seed)
            rows = [one, replace(one, **other)] if other else [one]  # type: ignore[arg-type]
            runs.append(trained(folder / f"{row.family}-{name}-{seed}", curve, *rows))
    add(folder / "board", *runs)
    return folder / "board"


def test_the_last_tests_of_each_seed_are_averaged(tmp_path: Path) -> None:
    (found,) = compare(read_board(board(tmp_path)), *METHODS, Choice())
    (line,) = found.families
    assert line.last_tests is not None
    for shown, scores in zip((line.last_tests.first, line.last_tests.second), SCORES, strict=True):
        expected = estimate(scores[:, LAST_TESTS:].mean(1)[:, None], mean)
        assert shown.value == pytest.approx(expected.value, abs=1e-9)
        assert shown.error == pytest.approx(expected.error, abs=1e-9)
    text = printed_comparison(*METHODS, found)
    assert f"mean, last {LAST_TESTS} tests" in text
    assert max(map(len, text.splitlines())) <= 80


def test_tests_after_the_step_that_is_compared_do_not_count(tmp_path: Path) -> None:
    folder = board(tmp_path)
    further = np.append(SCORES[0, 0], np.full(TESTS, 99))
    add(folder, trained(tmp_path / "longer", further, replace(USUAL, steps=2000)))
    (found,) = compare(read_board(folder), "macaw:steps=1000", "pearl", Choice())
    last = found.families[0].last_tests
    assert last is not None
    assert last.first.value == pytest.approx(SCORES[0, :, LAST_TESTS:].mean())


def test_short_curves_have_none(tmp_path: Path) -> None:
    folder = board(tmp_path, SCORES[:, :, : TESTS - 1])
    (found,) = compare(read_board(folder), *METHODS, Choice())
    assert found.families[0].last_tests is None
    assert "last" not in printed_comparison(*METHODS, found)


def test_a_seed_without_a_curve_leaves_none(tmp_path: Path) -> None:
    folder = board(tmp_path)
    path = folder / "curves" / "cheetah-vel" / "pearl.csv"
    curves = pd.read_csv(path)
    write_table(path, curves[curves["seed"] < 2])
    assert compare(read_board(folder), *METHODS, Choice())[0].families[0].last_tests is None


@pytest.mark.parametrize("other", [{"context": "expert"}, {"context_size": 64}])
def test_contexts_that_were_not_tested_in_training_have_none(
    tmp_path: Path, other: dict[str, object]
) -> None:
    context = f"{other.get('context', 'mixed')}:{other.get('context_size', 256)}"
    (found,) = compare(read_board(board(tmp_path, **other)), *METHODS, Choice(context=context))
    assert found.families[0].last_tests is None


def test_a_test_after_other_adaptation_has_none(tmp_path: Path) -> None:
    folder = board(tmp_path, settings="adaptation_steps=1")
    (found,) = compare(read_board(folder), "macaw:settings=adaptation_steps=1", "pearl", Choice())
    assert found.families[0].last_tests is None


def test_learning_on_online_has_none(tmp_path: Path) -> None:
    found = compare(read_board(board(tmp_path, online_steps=10_000)), *METHODS, Choice())
    last = {dict(one.shared).get("online steps"): one.families[0].last_tests for one in found}
    assert last["10,000"] is None
    assert last[None] is not None


@pytest.mark.parametrize("tests", [TESTS, TESTS - 1])
def test_over_families_only_where_all_have_it(tmp_path: Path, tests: int) -> None:
    board(tmp_path)
    ant = replace(USUAL, family="ant-dir-v1", data="omrl/ant-dir/mixed-v1")
    (found,) = compare(read_board(board(tmp_path, SCORES[:, :, :tests], ant)), *METHODS, Choice())
    assert len(found.families) == 2
    assert found.over_families is not None
    assert (found.over_families.last_tests is not None) == (tests == TESTS)
