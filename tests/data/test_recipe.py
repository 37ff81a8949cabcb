"""Recipes: what is written is read again, and what cannot be trained by is refused."""

from dataclasses import replace
from pathlib import Path

import pytest

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
    with pytest.raises(ConfigError, match="n_step is 0, reward_scale 1.0 and decay 0.0; n_step is at least"):
        replace(TINY, sac=replace(SMALL, n_step=0))
    for scale in (float("nan"), float("inf")):
        with pytest.raises(ConfigError, match=f"reward_scale {scale}"):
            replace(TINY, sac=replace(SMALL, reward_scale=scale))
    with pytest.raises(ConfigError, match="decay 1.5"):
        replace(TINY, sac=replace(SMALL, decay=1.5))
    for family, shared in (("cheetah-dir", False), ("ant-dir", True)):
        with pytest.raises(ConfigError, match=f"the family is {family}, shared is {shared}"):
            Recipe(family, sac=SacConfig(turned=True, shared=shared))


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
