"""Recipes: what is written is read again, and what cannot be trained by is refused."""

from dataclasses import fields, replace
from pathlib import Path

import pytest

from benchmark import files
from benchmark.data.recipe import Recipe, read_recipe
from benchmark.data.sac import SacConfig
from benchmark.errors import ConfigError, DataError

SMALL = SacConfig(actor_hidden_size=8, critic_hidden_size=12, batch_size=8, random_steps=10)
TINY = Recipe("cheetah-dir", steps=100, shares=2, sac=SMALL)


def test_impossible_recipes_are_refused() -> None:
    for tasks in ([20], [-1], [3, 3], [4, 3]):
        with pytest.raises(ConfigError, match="give numbers from 0 to 19, each once, in rising order"):
            Recipe("point-robot", tasks=tasks)
    with pytest.raises(ConfigError, match="shares is 0"):
        replace(TINY, shares=0)
    with pytest.raises(ConfigError, match="steps is 10"):
        replace(TINY, steps=10)
    with pytest.raises(ConfigError, match="seed is -1; choose 0"):
        replace(TINY, seed=-1)
    with pytest.raises(ConfigError, match="100 steps cannot be made by 3 environments at once"):
        replace(TINY, sac=replace(SMALL, environments=3))
    with pytest.raises(ConfigError, match="shares is 3, more than there are tasks .*choose from 1 to 2"):
        replace(TINY, shares=3)
    with pytest.raises(ConfigError, match="shares is 2, more than there are tasks .*choose from 1 to 1"):
        replace(TINY, tasks=[1])
    for family, shared in (("cheetah-dir", False), ("ant-dir", True)):
        with pytest.raises(ConfigError, match=f"the family is {family}, shared is {shared}"):
            Recipe(family, sac=SacConfig(turned=True, shared=shared))


NAN, INFINITE = float("nan"), float("inf")
OUT_OF_RANGE = {
    "actor_hidden_size": (0, -8),
    "critic_hidden_size": (0, 2.5),
    "environments": (0, -1),
    "batch_size": (0, -1, NAN),
    "n_step": (0,),
    "actor_every": (0,),
    "random_steps": (-5,),
    "learning_rate": (0.0, -1.0, NAN, INFINITE),
    "reward_scale": (0.0, NAN, INFINITE),
    "initial_temperature": (0.0, -0.2, NAN, INFINITE),
    "decay": (-0.1, 1.5, NAN),
    "discount": (-0.1, 1.5, NAN),
    "target_rate": (0.0, 5.0, NAN),
}


def test_every_number_of_the_agents_has_its_range(tmp_path: Path) -> None:
    numbers = [one.name for one in fields(SacConfig) if not isinstance(one.default, bool)]
    assert sorted(OUT_OF_RANGE) == sorted(numbers)
    for name, values in OUT_OF_RANGE.items():
        for value in values:
            with pytest.raises(ConfigError, match=f"collect: {name} is {value}; choose a .*number"):
                replace(SMALL, **{name: value})
    path = tmp_path / "recipe.toml"
    path.write_text("family = 'cheetah-dir'\n[sac]\nlearning_rate = nan")
    with pytest.raises(DataError, match="learning_rate is nan; choose a finite number above 0"):
        read_recipe(path)
    replace(SMALL, decay=1.0, discount=1.0, target_rate=1.0, random_steps=0)


SHIPPED = sorted((files.DATASETS / "recipes").rglob("*.toml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_shipped_recipes_can_be_trained_by(path: Path) -> None:
    assert read_recipe(path).family == path.stem


def test_a_recipe_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    for recipe in (
        TINY,
        Recipe("point-robot", tasks=[3, 7, 11]),
        Recipe("ant-dir", sac=SacConfig(turned=True)),
    ):
        path.write_text(recipe.to_toml())
        assert read_recipe(path) == recipe


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("step = 3", "unknown setting 'step'"),
        ("steps = 'many'", "steps = 'many' is not of type int"),
        ("[sac]\ndecay = true", "decay = True is not of type float"),
        ("steps = 100\n[sac]\nbatch = 3", "unknown setting 'batch'"),
        ("steps = 100", "more than 1000 steps"),
        ("steps", "missing or damaged"),
    ],
)
def test_a_recipe_that_cannot_be_used_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(f"family = 'cheetah-dir'\n{text}")
    with pytest.raises(DataError, match=message):
        read_recipe(path)
