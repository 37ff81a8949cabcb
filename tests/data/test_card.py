"""Data cards: generated, and never apart from what they are generated from."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark import families, files
from benchmark.cli import main
from benchmark.data import card, catalog
from benchmark.data.dataset import SIZES, TIERS
from benchmark.data.recipe import read_recipe, recipe_path
from benchmark.data.shipped import is_shipped
from benchmark.data.snapshots import Snapshots, shipped_path
from benchmark.errors import DataError
from benchmark.families.family import BodyFamily, Family
from benchmark.results.tables import replace_between_markers

TRAINED = [name for name in families.FAMILIES if shipped_path(name).exists()]
SHIPPED = [name for name in families.FAMILIES if is_shipped(families.family(name))]

RECIPE = """family = "cheetah-dir"
steps = 8000
shares = 1
seed = 0
[sac]
actor_hidden_size = 16
"""


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_card_is_what_is_generated_today(name: str) -> None:
    family = families.family(name)
    assert card.card_path(name).read_text(encoding="utf-8") == card.card_text(family), (
        f"the card has drifted: python -m benchmark data card --family {name}"
    )
    with Image.open(card.card_path(name).with_suffix(".png")) as picture:
        assert min(picture.size) > 500


@pytest.mark.parametrize("name", TRAINED)
def test_the_shipped_recipe_is_one_that_gives_such_snapshots(name: str) -> None:
    used = read_recipe(recipe_path(name))
    snapshots = Snapshots.load(shipped_path(name))
    assert used.family == name
    assert used.snapshot_steps == snapshots.steps
    assert used.sac.random_steps == snapshots.random_steps
    assert used.sac.actor_hidden_size == snapshots.weights["b1"].shape[-1]


def test_the_table_of_families_in_the_readme_is_what_is_generated_today() -> None:
    text = (files.PROJECT / "README.md").read_text(encoding="utf-8")
    table = card.families_table().rstrip()
    assert text == replace_between_markers(text, "families", table), (
        "it has drifted: python -m benchmark data card"
    )


@pytest.fixture
def with_recipe(small_standard: Family) -> Family:
    path = recipe_path(small_standard.name)
    path.parent.mkdir()
    path.write_text(RECIPE)
    return small_standard


def test_a_card_is_written_whole_and_the_same_again(with_recipe: Family, tmp_path: Path) -> None:
    first = {path: path.read_bytes() for path in card.write_card("cheetah-dir")}
    again = {path: path.read_bytes() for path in card.write_card("cheetah-dir")}
    assert [path.name for path in first] == ["cheetah-dir.md", "cheetah-dir.png"]
    assert first == again
    assert sorted(path.name for path in (tmp_path / "datasets" / "cards").iterdir()) == [
        path.name for path in first
    ]


def test_a_card_follows_what_it_describes(with_recipe: Family) -> None:
    text = card.card_text(with_recipe)
    known = catalog.entry(with_recipe)
    assert known.hashes["small"]["mixed"] in text
    assert f"| {known.references.expert[1]:.1f} |" in text
    assert "actor hidden size 16, critic hidden size 128" in text
    assert "8,000 environment steps in each task" in text
    catalog.write_entry(with_recipe, known.with_hash("small", "mixed", "f" * 64))
    assert card.card_text(with_recipe) != text


def test_a_card_says_about_how_many_transitions_there_are(with_recipe: Family) -> None:
    """Exactly as many there are only where episodes are of one length: random walkers have 995,274 of a million."""
    assert "| about 1,200 | about 2,400 |" in card.card_text(with_recipe)


def test_a_card_names_the_data_sets_that_are_not_standardised(with_recipe: Family) -> None:
    every = {size: dict.fromkeys(TIERS, "f" * 64) for size in SIZES}
    catalog.write_entry(with_recipe, replace(catalog.entry(with_recipe), hashes=every))
    assert "Not standardised" not in card.card_text(with_recipe)
    part = {"small": every["small"], "full": {"mixed": "f" * 64}}
    catalog.write_entry(with_recipe, replace(catalog.entry(with_recipe), hashes=part))
    assert "cannot be opened: `random`, `medium`, `expert` in size `full`.\n" in card.card_text(with_recipe)


@pytest.mark.parametrize("hashes", [{}, {"full": {"mixed": "f" * 64}}])
def test_a_card_of_nothing_small_says_how_to_record_it(
    with_recipe: Family, hashes: dict[str, dict[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    catalog.write_entry(with_recipe, replace(catalog.entry(with_recipe), hashes=hashes))
    assert main(["data", "card", "--family", "cheetah-dir"]) == 2
    assert "data catalog --family cheetah-dir --hashes-only --sizes small" in capsys.readouterr().err


def test_a_card_of_a_family_without_behaviour_says_that_it_is_not_trained(small_standard: Family) -> None:
    with pytest.raises(DataError, match="cheetah-vel is not trained yet.*data collect --family cheetah-vel"):
        card.write_card("cheetah-vel")


def test_a_card_says_where_experts_fall_and_where_another_expert_does_better(with_recipe: Family) -> None:
    assert "end early" not in card.card_text(with_recipe)
    known = catalog.entry(with_recipe)
    best = replace(known.references.blind["standard"], returns=tuple(np.add(known.references.expert, 1.0)))
    steps, blind = (200.0, 150.0), {**known.references.blind, "standard": best}
    catalog.write_entry(
        with_recipe, replace(known, references=replace(known.references, expert_steps=steps, blind=blind))
    )
    text = card.card_text(with_recipe)
    assert (
        "In 1 of 2 tasks some episodes of the expert's mean action end early. They last 175.0 of 200 steps"
        in text
    )
    assert "In `standard` the blind expert does better than the test tasks' own" in text


def test_a_card_says_which_agents_trained_together(with_recipe: Family) -> None:
    apart = card.card_text(with_recipe)
    assert "on that task alone; the data are" in apart
    assert "shared" not in apart
    path = recipe_path("cheetah-dir")
    path.write_text(path.read_text() + "shared = true\n")
    together = card.card_text(with_recipe)
    assert "the agents of 2 tasks trained one actor and one pair of critics together" in together
    assert "on that task alone" not in together
    assert "compare the blind reference with the tasks' own experts" in together
    assert "compare the blind reference" not in apart


def test_a_card_says_that_one_agent_acted_in_all_frames(
    with_recipe: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = recipe_path("cheetah-dir")
    path.write_text(path.read_text() + "turned = true\n")
    monkeypatch.setattr(BodyFamily, "task_frame", lambda family, task: (np.eye(20), np.zeros(20)))
    text = card.card_text(with_recipe)
    assert "One agent was trained from scratch, in 2 tasks at once, each task seen in its frame" in text
    assert "have, at each age, the same policy in different frames" in text
    assert "For each task one agent" not in text
    assert "turned 1" not in text


def test_a_damaged_recipe_is_named(with_recipe: Family) -> None:
    path = recipe_path("cheetah-dir")
    for damage in ("", "steps = 3\n", "not toml", "steps = 3\nsac = 4\n"):
        path.write_text(damage)
        with pytest.raises(DataError) as caught:
            card.card_text(with_recipe)
        assert str(path) in str(caught.value)
