"""The rule that says how long to train: the same for all methods, deaf to noise, and it admits not to know."""

from pathlib import Path

import numpy as np
import pytest

from benchmark.errors import ResultError
from benchmark.results.level_off import levelled_off, mean_curve

STEPS = list(range(500, 20_001, 500))


def test_a_curve_that_rises_and_stays_has_levelled_off_where_it_stays() -> None:
    scores = [min(step, 7_500) / 100 for step in STEPS]
    assert levelled_off(STEPS, scores) == 10_000, "the window before holds the last of the rise"
    noise = np.random.default_rng(0).normal(0, 1.0, len(STEPS))
    assert levelled_off(STEPS, list(np.array(scores) + noise)) == 10_000


def test_a_curve_that_still_rises_has_not() -> None:
    assert levelled_off(STEPS, [step / 200 for step in STEPS]) is None
    assert levelled_off(STEPS[:5], [1.0] * 5) is None, "one window tells nothing"


def test_a_flat_curve_has_levelled_off_at_once_and_a_falling_one_too() -> None:
    assert levelled_off(STEPS, [50.0] * len(STEPS)) == 2_500
    assert levelled_off(STEPS, [-step / 1000 for step in STEPS]) == 2_500


def test_a_slow_rise_counts_by_its_sum() -> None:
    scores = [50 + 0.4 * (step / 2_500) for step in STEPS]  # 2.8 points from the first window to the last
    assert levelled_off(STEPS, scores) == 7_500


def test_a_window_without_an_evaluation_is_no_verdict() -> None:
    with pytest.raises(
        ResultError, match="between the steps 0 and 2,500: the rule needs .*--evaluate-every 2500"
    ):
        levelled_off([5_000, 10_000, 15_000, 20_000], [80.0] * 4)


def write(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_seeds_are_averaged_step_by_step(tmp_path: Path) -> None:
    one = write(tmp_path, "one.csv", "step,score,loss\n500,10,1\n1000,20,1\n")
    other = write(tmp_path, "other.csv", "step,score,loss\n500,30,1\n1000,40,1\n")
    assert mean_curve([one, other]) == ([500, 1000], [20.0, 30.0])
    with pytest.raises(ResultError, match="different steps"):
        mean_curve([one, write(tmp_path, "longer.csv", "step,score\n500,1\n")])
    with pytest.raises(ResultError, match="cannot be read"):
        mean_curve([write(tmp_path, "bad.csv", "step\n500\n")])
