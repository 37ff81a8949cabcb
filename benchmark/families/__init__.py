"""Task families: one simulated body plus numbered tasks that differ in reward or in dynamics, or in both.

`family("cheetah-vel")` gives a family by its name or by its identity with version (`cheetah-vel-v1`). Importing
this package registers each of them with Gymnasium: `gymnasium.make("benchmark.families:cheetah-vel-v1", task=7)`
imports it on the way.
"""

from functools import cache

import gymnasium

from benchmark.errors import UnknownNameError
from benchmark.families.ant import AntDirection, AntGoal
from benchmark.families.cheetah import CheetahDirection, CheetahVelocity
from benchmark.families.family import Family
from benchmark.families.hopper import HopperParameters
from benchmark.families.humanoid import HumanoidDirection
from benchmark.families.ml45 import MetaWorld45
from benchmark.families.point import PointRobot
from benchmark.families.walker import WalkerParameters

KINDS: tuple[type[Family], ...] = (
    CheetahDirection, CheetahVelocity, AntDirection, WalkerParameters, MetaWorld45,  # the paper's
    PointRobot, AntGoal, HumanoidDirection, HopperParameters,
)  # fmt: skip
FAMILIES: dict[str, type[Family]] = {kind.name: kind for kind in KINDS}


def family(name: str) -> Family:
    """The family of that name (or identity), always the same object; raises UnknownNameError with a hint."""
    for known, kind in FAMILIES.items():
        if name in (known, f"{known}-v{kind.version}"):
            return _instance(known)
    raise UnknownNameError("family", name, FAMILIES)


@cache
def _instance(name: str) -> Family:
    return FAMILIES[name]()


for _kind in FAMILIES.values():
    gymnasium.register(
        id=f"{_kind.name}-v{_kind.version}",
        entry_point=_kind.environment,
        max_episode_steps=_kind.horizon,
        kwargs={"family": _kind.name},
    )
