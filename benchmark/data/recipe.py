"""Recipes: what determines the behaviour policies of a family, one TOML file each in `datasets/recipes/`."""

import tomllib
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import tomli_w

from benchmark import families, files
from benchmark.data.sac import SacConfig
from benchmark.errors import ConfigError, DataError
from benchmark.families.family import BodyFamily

LIFE_FRACTIONS = (0.02, 0.04, 0.065, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0)
"""When snapshots are taken, as fractions of the training life: dense early, where behaviour changes fast."""


@dataclass(frozen=True)
class Recipe:
    """How the agents of a family are trained."""

    family: str
    """Name of the family."""
    steps: int = 100_000
    """Environment steps per task."""
    shares: int = 2
    """The tasks are dealt to so many shares in turn, each of which is trained as one batched network."""
    seed: int = 0
    """Seed of everything."""
    tasks: list[int] = field(default_factory=list)
    """Numbers of the tasks that are trained; none for all."""
    remark: str = ""
    """What else is known of agents trained for long; the card says it."""
    sac: SacConfig = field(default_factory=SacConfig)
    """The agents."""

    def __post_init__(self) -> None:
        if self.shares < 1 or self.steps <= self.sac.random_steps:
            raise ConfigError(
                f"collect: shares is {self.shares} and steps is {self.steps}; at least 1 share and more than "
                f"{self.sac.random_steps} steps (the random ones at the start) are needed."
            )
        known = range(trainable(self.family).tasks)
        if any(task not in known for task in self.tasks) or sorted(set(self.tasks)) != self.tasks:
            raise ConfigError(
                f"collect: tasks is {self.tasks}; give numbers from 0 to {known[-1]}, each once, in rising order."
            )
        if self.shares > len(self.task_numbers):
            raise ConfigError(
                f"collect: shares is {self.shares}, more than there are tasks to deal to them; choose from 1 to "
                f"{len(self.task_numbers)}."
            )
        if self.seed < 0:
            raise ConfigError(f"collect: seed is {self.seed}; choose 0 or a larger whole number.")
        if self.sac.turned and (self.sac.shared or trainable(self.family).task_frame(0) is None):
            raise ConfigError(
                "collect: turned = true is for families that give a frame of each task (task_frame), "
                f"and excludes shared = true; here the family is {self.family}, shared is "
                f"{self.sac.shared}."
            )
        if self.steps % self.sac.environments:
            raise ConfigError(
                f"collect: {self.steps} steps cannot be made by {self.sac.environments} environments at once; "
                "choose a multiple."
            )

    @property
    def snapshot_steps(self) -> tuple[int, ...]:
        """Environment steps per task after which snapshots are taken."""
        together = self.sac.environments
        return tuple(
            max(1, round(fraction * self.steps / together)) * together for fraction in LIFE_FRACTIONS
        )

    @property
    def task_numbers(self) -> list[int]:
        """Numbers of the tasks that are trained, rising."""
        return self.tasks or list(range(trainable(self.family).tasks))

    def tasks_of_share(self, number: int) -> list[int]:
        """Numbers of the tasks that this share trains."""
        return self.task_numbers[number :: self.shares]

    def to_toml(self) -> str:
        """The file's text, without `tasks` where all are trained, and without an empty remark."""
        return tomli_w.dumps({key: value for key, value in asdict(self).items() if value not in ([], "")})


def trainable(family_name: str) -> BodyFamily:
    """The family of that name; raises ConfigError where its behaviour is scripted."""
    family = families.family(family_name)
    if not isinstance(family, BodyFamily):
        raise ConfigError(
            f"the behaviour of {family.id} is scripted: there is nothing to train. Record it at once: "
            f"python -m benchmark data record --family {family.name}"
        )
    return family


def recipe_path(family_name: str, long: bool = False) -> Path:
    """Where the recipe of a family's shipped behaviour lies, or that of a few tasks trained for long.

    ConfigError where there can be none.
    """
    folder = files.DATASETS / "recipes" / ("long" if long else "")
    return folder / f"{trainable(family_name).name}.toml"


def read_recipe(path: Path) -> Recipe:
    """The recipe in a file; raises DataError where it is missing, damaged, or none that can be trained by."""
    try:
        return recipe_of(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, AttributeError, ConfigError) as error:
        raise DataError(
            f"the recipe {path} is missing or damaged ({error}). Those of the standard ship with the project "
            "(git checkout -- datasets/recipes); copy one of them to begin a new one."
        ) from error


def recipe_of(content: dict[str, Any]) -> Recipe:
    """The recipe of these settings; raises ValueError, TypeError or ConfigError where there is none."""
    agents = content.get("sac", {})
    rest = {name: value for name, value in content.items() if name != "sac"}
    _check_names(rest, Recipe)
    _check_names(agents, SacConfig)
    return Recipe(**rest, sac=SacConfig(**agents))


def _check_names(found: dict[str, object], kind: type) -> None:
    """Raise ValueError for a name that `kind` does not have, and for a value of another type."""
    known = {one.name: one for one in fields(kind)}
    for name, value in found.items():
        if name not in known:
            raise ValueError(f"unknown setting '{name}'")
        wanted = known[name].type
        kinds: Any = {float: (int, float), list[int]: list}
        if not isinstance(value, kinds.get(wanted, wanted)) or isinstance(value, bool) != (wanted is bool):
            raise ValueError(f"{name} = {value!r} is not of type {getattr(wanted, '__name__', wanted)}")
