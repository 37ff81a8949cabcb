"""One environment of Meta-World, as `ml45` uses it, and the scripted experts. The only file that imports `metaworld`.

A compiled model takes 20 MB, so all arenas of a class share one. What Meta-World's resets write into a model (places
of bodies and sites, nothing else: a test looks) each arena keeps for itself and puts back before it is stepped.

    shared model   <-- places of arena a --   step a   <-- places of arena b --   step b ...
"""

import pickle
import warnings
from collections.abc import Callable
from copy import copy
from functools import lru_cache, partial
from typing import Any

import mujoco
import numpy as np
from metaworld import env_dict
from metaworld.policies import ENV_POLICY_MAP
from metaworld.types import Task
from numpy.typing import NDArray

from benchmark.families.stepping import Array

Script = Callable[[Array], Array]
"""An observation with the goal shown (39,) to an action (4,), not clipped."""

PLACES = ("body_pos", "site_pos")
"""Fields of a model that a reset writes."""
ENDLESS = 2**31
"""Steps after which Meta-World itself would refuse to go on; the time limit is the caller's."""


def script(name: str) -> Script:
    """The scripted expert of a class; raises KeyError for a class there is not."""
    kind: Any = ENV_POLICY_MAP[name]
    policy = kind()

    def act(observation: Array) -> Array:
        return np.asarray(policy.get_action(observation), dtype=np.float64)

    return act


def acting_quietly() -> "warnings.catch_warnings[None]":
    """Within the block the scripts do not warn that they ask for more than an action can be."""
    return warnings.catch_warnings(action="ignore", category=UserWarning)


def _kind(name: str) -> Any:
    """Meta-World's class of that name; raises KeyError where there is none."""
    return {**env_dict.ML45_V3["train"], **env_dict.ML45_V3["test"]}[name]


@lru_cache(maxsize=8)
def _compiled(name: str) -> mujoco.MjModel:
    """The class's model as it is before any reset; compiling it takes a tenth of a second, copying 5 ms."""
    return _kind(name)().model


def _touching(data: mujoco.MjData, thing: int) -> bool:
    """Whether both of the gripper's pads press on this geometry.

    Meta-World's `touching_object` without a Python object for each contact: where it grasps, these took a quarter of
    the time.
    """
    pairs = data.contact.geom
    of_thing = (pairs == thing).any(axis=1)

    def force(pad: str) -> float:
        touching = of_thing & (pairs == data.geom(pad).id).any(axis=1)
        return float(sum(data.efc_force[data.contact.efc_address[touching]]))

    return force("leftpad_geom") > 0 and force("rightpad_geom") > 0


class Model:
    """The compiled model of a class, shared by its arenas, as it was before any reset."""

    def __init__(self, name: str) -> None:
        self._kind = _kind(name)
        self.model: mujoco.MjModel = copy(_compiled(name))
        self._untouched = self.places()

    def places(self) -> dict[str, Array]:
        """A copy of what resets write."""
        return {name: getattr(self.model, name).copy() for name in PLACES}

    def put(self, places: dict[str, Array] | None = None) -> None:
        """Write these places into the model, or those from before any reset."""
        for name, values in (places or self._untouched).items():
            getattr(self.model, name)[:] = values

    def environment(self) -> Any:
        """A new environment on this model: Meta-World's own, which would compile one for itself."""
        model = self.model
        self.put()
        environment = self._kind.__new__(self._kind)
        environment._initialize_simulation = lambda: (model, mujoco.MjData(model))
        environment.__init__()
        del environment._initialize_simulation
        environment.max_path_length = ENDLESS
        environment.touching_object = partial(_touching, environment.data)
        return environment

    def task(self, vector: Array) -> Task:
        """Meta-World's description of an episode with this goal, which observations hide."""
        content = {"rand_vec": vector, "env_cls": self._kind, "partially_observable": True}
        return Task(self._kind.__name__, pickle.dumps(content))


class Arena:
    """One episode at a time of one class."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._environment = model.environment()
        self._places: dict[str, Array] = {}

    def start(self, vector: Array) -> NDArray[np.float32]:
        """Begin an episode with this goal; returns the observation (39,)."""
        self._model.put()
        self._environment.set_task(self._model.task(vector))
        observation, _ = self._environment.reset()
        self._places = self._model.places()
        return np.asarray(observation, dtype=np.float32)

    @property
    def target(self) -> Array:
        """Where the goal is, (3,) in metres: what observations hide and scripts see."""
        return np.array(self._environment._target_pos, dtype=np.float64)

    def step(self, action: Array) -> tuple[NDArray[np.float32], float, bool]:
        """One control step with an action (4,): observation (39,), reward, and whether the task is solved."""
        self._model.put(self._places)
        observation, reward, _, _, info = self._environment.step(action)
        return np.asarray(observation, dtype=np.float32), float(reward), bool(info["success"] > 0)
