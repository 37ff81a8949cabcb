"""Behaviour snapshots: actors of every task at several ages, as shipped under `datasets/snapshots/`.

    weight k:  (task, snapshot, ...)      k = w1, b1, w2, b2, w3, b3        float16

The file *is* the behaviour: recording uses exactly these 16-bit weights, computed with in float64. Snapshot
number `UNIFORM` (-1) means uniformly random actions, with which every agent's life began.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from benchmark import files
from benchmark.errors import DataError
from benchmark.files import write_atomically

UNIFORM = -1
WEIGHTS = ("w1", "b1", "w2", "b2", "w3", "b3")
LOG_STD_CENTRE, LOG_STD_SPAN = -1.5, 3.5
"""The log standard deviation is centre + span * tanh(raw), so it lies in (-5, 2)."""
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Snapshots:
    """The behaviour policies of a family."""

    tile: ClassVar[int] = 8
    """Lanes per matrix product in recording. Every product has this one shape, so that a lane's result does not depend
    on how many lanes there are, and is too small for the linear algebra library to start threads of its own."""

    family_id: str
    """Identity of the family, such as `cheetah-vel-v1`."""
    steps: tuple[int, ...]
    """Environment steps of training at each snapshot, rising."""
    random_steps: int
    """Steps of uniformly random actions at the start of the life."""
    weights: dict[str, NDArray[np.float16]]
    """w1 (task, snapshot, observation, hidden), b1 (task, snapshot, 1, hidden), and so on; all finite."""

    def __post_init__(self) -> None:
        finite = np.all([np.isfinite(weight).all(axis=(2, 3)) for weight in self.weights.values()], axis=0)
        if not finite.all():
            agent, snapshot = np.argwhere(~finite)[0]
            raise DataError(
                f"snapshots of {self.family_id} have weights that are not finite in 16 bits, first agent {agent}'s "
                f"number {snapshot}: its training has diverged. Train it anew with a smaller learning_rate."
            )

    @classmethod
    def from_weights(
        cls,
        family_id: str,
        steps: Sequence[int],
        random_steps: int,
        weights: Sequence[Sequence[Sequence[object]]],
    ) -> "Snapshots":
        """From float32 weights [task][snapshot][w1 ... b3], rounded to 16 bits; DataError where they do not fit."""
        exact = {
            name: np.stack([[np.asarray(snapshot[k]) for snapshot in task] for task in weights])
            for k, name in enumerate(WEIGHTS)
        }
        with np.errstate(over="ignore"):  # what does not fit in 16 bits is refused
            rounded = {name: weight.astype(np.float16) for name, weight in exact.items()}
        return cls(family_id, tuple(steps), random_steps, rounded)

    @property
    def tasks(self) -> int:
        """Number of tasks."""
        return len(self.weights["w1"])

    @property
    def last(self) -> int:
        """Number of the last, the expert's, snapshot."""
        return len(self.steps) - 1

    @cached_property
    def life_shares(self) -> dict[int, float]:
        """Share of the training life that each snapshot stands for: up to half way to its neighbours.

        The uniform policy stands for the random steps at the start.
        """
        edges = [float(self.random_steps)]
        edges += [(a + b) / 2 for a, b in zip(self.steps[:-1], self.steps[1:], strict=True)]
        edges += [float(self.steps[-1])]
        shares = {k: (edges[k + 1] - edges[k]) / edges[-1] for k in range(len(self.steps))}
        return {UNIFORM: edges[0] / edges[-1], **shares}

    @property
    def numbers(self) -> range:
        """Numbers of the snapshots, young to old."""
        return range(len(self.steps))

    @property
    def measured_means(self) -> range:
        """Of all snapshots the mean action is measured."""
        return self.numbers

    def age(self, number: int) -> int:
        """Environment steps of training at that snapshot; 0 for the uniform policy."""
        return 0 if number == UNIFORM else self.steps[number]

    def policy(self, tasks: NDArray[np.int64], snapshots: NDArray[np.int64]) -> "GaussianPolicies":
        """The policies of these (task, snapshot) pairs, computed in float64."""
        chosen = [self.weights[name][tasks, snapshots].astype(np.float64) for name in WEIGHTS]
        return GaussianPolicies(chosen)

    def save(self, path: Path) -> None:
        """Write the file in one step."""
        header = {
            "family": self.family_id,
            "steps": json.dumps(self.steps),
            "random_steps": str(self.random_steps),
        }
        write_atomically(path, lambda temporary: save_file(self.weights, temporary, metadata=header))

    @classmethod
    def load(cls, path: Path) -> "Snapshots":
        """Read the file; raises DataError where it is missing or damaged, or a weight is not finite."""
        if not path.exists():
            raise DataError(
                f"behaviour snapshots {path} are missing. They ship with the project: restore the file "
                "(git checkout), or train them anew: python -m benchmark data collect."
            )
        try:
            with safe_open(path, "numpy") as file:
                header = file.metadata()
                weights = {name: file.get_tensor(name) for name in WEIGHTS}
            steps = tuple(json.loads(header["steps"]))
            return cls(header["family"], steps, int(header["random_steps"]), weights)
        except (SafetensorError, OSError, KeyError, TypeError, ValueError, DataError) as error:
            raise DataError(
                f"behaviour snapshots {path} are damaged ({error}). Restore the file: git checkout -- {path}"
            ) from error


def shipped_path(family_name: str) -> Path:
    """Where a family's snapshots lie in the project."""
    return files.DATASETS / "snapshots" / f"{family_name}.safetensors"


class GaussianPolicies:
    """Tanh-Gaussian actors of several (task, snapshot) pairs, in float64."""

    def __init__(self, weights: list[Array]) -> None:
        self.weights = weights

    def distribution(
        self, observations: NDArray[np.floating], hidden: Array | None = None
    ) -> tuple[Array, Array]:
        """Mean and std before the tanh, (group, lane, action), of (group, lane, observation) and nothing hidden."""
        w1, b1, w2, b2, w3, b3 = self.weights
        hidden = np.maximum(observations.astype(np.float64) @ w1 + b1, 0)
        hidden = np.maximum(hidden @ w2 + b2, 0)
        mean, raw = np.split(hidden @ w3 + b3, 2, axis=-1)
        return mean, np.exp(LOG_STD_CENTRE + LOG_STD_SPAN * np.tanh(raw))
