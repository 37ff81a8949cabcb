"""Agents of a few tasks that are trained for long: measured on their own tasks, and beside the experts on the card."""

from pathlib import Path

import numpy as np
import pytest

from benchmark import families, files
from benchmark.cli import main
from benchmark.data import card, card_training, long_trained
from benchmark.data.catalog import references
from benchmark.data.long_trained import LongReturn, last_returns, measure_long, read_long, write_long
from benchmark.data.recipe import read_recipe
from benchmark.data.shipped import shipped_behaviour
from benchmark.data.snapshots import Snapshots
from benchmark.errors import DataError

FAMILY = families.family("point-robot")
TASKS = [3, 8]
RECIPE = """\
family = "point-robot"
steps = 60
shares = 1
tasks = [3, 8]

[sac]
actor_hidden_size = 8
critic_hidden_size = 8
batch_size = 8
random_steps = 10
"""


def test_each_agent_is_measured_in_its_own_task() -> None:
    shipped = shipped_behaviour(FAMILY)
    assert isinstance(shipped, Snapshots)
    two = {name: weights[TASKS] for name, weights in shipped.weights.items()}
    agents = Snapshots(shipped.family_id, shipped.steps, shipped.random_steps, two)
    last = last_returns(measure_long(FAMILY, agents, TASKS))
    expert = references("point-robot").expert
    assert {task: one.deterministic_return for task, one in last.items()} == {
        task: pytest.approx(expert[task], abs=1e-3) for task in TASKS
    }
    assert {one.step for one in last.values()} == {shipped.steps[-1]}


def test_the_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    rows = [LongReturn(3, 10, -7.125), LongReturn(3, 20, -5.0)]
    write_long(tmp_path / "long.csv", rows)
    assert read_long(tmp_path / "long.csv") == rows
    (tmp_path / "long.csv").write_text("task,step\n3,x\n")
    with pytest.raises(DataError, match="long.csv is missing or damaged"):
        read_long(tmp_path / "long.csv")


def test_the_card_says_what_share_the_experts_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = references("point-robot")
    random, expert = known.random[3], known.expert[3]
    twice = random + 2 * (expert - random)
    monkeypatch.setattr(card_training, "long_path", lambda name: tmp_path / "long.csv")
    assert "trained for long" not in card.card_text(FAMILY)
    write_long(tmp_path / "long.csv", [LongReturn(3, 10, 0.0), LongReturn(3, 20, twice)])
    text = card.card_text(FAMILY)
    assert "50.0 % on average over these tasks, 50.0 % at least" in text
    assert "| task | random | expert | after 10 steps | after 20 |" in text
    assert f"| 3 | {random:.1f} | {expert:.1f} | 0.0 | {twice:.1f} | 50 % |" in text
    assert "Held against the mean of these agents, the mean of all tasks' experts is at" in text


def test_the_lowest_expert_is_held_against_an_agent_of_its_own_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = references("point-robot")
    lowest = int(np.argmin(known.expert))
    reached = {
        3: known.expert[3],
        lowest: known.random[lowest] + 4 * (known.expert[lowest] - known.random[lowest]),
    }
    monkeypatch.setattr(card_training, "long_path", lambda name: tmp_path / "long.csv")
    write_long(tmp_path / "long.csv", [LongReturn(task, 20, value) for task, value in reached.items()])
    text = card.card_text(FAMILY)
    assert "62.5 % on average over these tasks, 25.0 % at least" in text
    assert f"The lowest of all tasks' experts, of task {lowest}, is at 25.0 %." in text
    assert "Held against the mean" not in text


@pytest.mark.parametrize(
    ("gained", "said"),
    [
        (0.1, "It changed by +10.0 % on average in the last 50 % of their training: with more of it,"),
        (0.01, "It changed by +1.0 % on average in the last 50 % of their training. More of them"),
        (-0.2, "It changed by -20.0 % on average in the last 50 % of their training. More of them"),
    ],
)
def test_the_card_says_how_far_they_still_rose_and_what_else_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gained: float, said: str
) -> None:
    random = references("point-robot").random
    (tmp_path / "long.toml").write_text('remark = "More of them."\n' + RECIPE)
    monkeypatch.setattr(card_training, "long_path", lambda name: tmp_path / "long.csv")
    monkeypatch.setattr(card_training, "recipe_path", lambda name, long: tmp_path / "long.toml")
    before = [LongReturn(task, 10, random[task] + 20 * (1 - gained)) for task in TASKS]
    write_long(tmp_path / "long.csv", [*before, *(LongReturn(task, 20, random[task] + 20) for task in TASKS)])
    text = card.card_text(FAMILY)
    assert said in text
    assert "shares would be lower. More of them.\n" in text or gained < 0.02


@pytest.mark.parametrize(
    "name", [name for name in families.FAMILIES if long_trained.long_path(name).exists()]
)
def test_shipped_experts_are_near_agents_trained_for_long(name: str) -> None:
    """At 85 % of what these reach on average, and at 60 % in every task that both were trained in."""
    rows, recipe = (
        read_long(long_trained.long_path(name)),
        read_recipe(files.DATASETS / "recipes/long" / f"{name}.toml"),
    )
    last, known = last_returns(rows), references(name)
    assert list(last) == recipe.task_numbers
    assert {one.step for one in last.values()} == {recipe.steps}
    shares = [
        (known.expert[task] - known.random[task]) / (one.deterministic_return - known.random[task])
        for task, one in last.items()
    ]
    assert np.mean(shares) >= 0.85
    assert min(shares) >= 0.6


def test_the_command_trains_measures_and_says_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE)
    options = ["--recipe", str(recipe), "--out", str(tmp_path), "--processes", "1"]
    assert main(["data", "collect", "--family", "point-robot", *options]) == 0
    table = tmp_path / "point-robot-long" / "point-robot-long.csv"
    assert {row.task for row in read_long(table)} == {3, 8}
    said = capsys.readouterr().out
    assert "task 8: " in said
    assert str(long_trained.long_path("point-robot")) in said
