"""One share of a family's tasks, trained as one batched network, with checkpoints that resume bit for bit.

OUT/share-3.csv              returns of each task's last episodes, every thousandth step
OUT/share-3.pt               the checkpoint, replay included, while it is at work
OUT/share-3.safetensors      the snapshots, once it is done; the checkpoint is deleted then
"""

import pickle
import tomllib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from benchmark.data.frames import TaskFrames
from benchmark.data.recipe import Recipe, recipe_of, trainable
from benchmark.data.sac import BatchedSac
from benchmark.errors import CheckpointError, ConfigError, RunError
from benchmark.families.family import Array
from benchmark.families.simulation import BatchSimulation
from benchmark.files import write_atomically, write_text
from benchmark.randomness import numpy_stream, torch_stream

CHECKPOINTS = 20
"""Checkpoints in a training life."""


class Share:
    """The training of some tasks' agents in one process."""

    def __init__(self, recipe: Recipe, number: int, out: Path) -> None:
        self.recipe, self.number = recipe, number
        self.family = trainable(recipe.family)
        self.tasks = recipe.tasks_of_share(number)
        self.path, self.log_path = out / f"share-{number}.pt", log_path(out, number)
        self.done_path = done_path(out, number)
        self.resets = numpy_stream(recipe.seed, "collect", number, "resets")
        lanes = np.repeat(self.tasks, recipe.sac.environments)
        agents = 1 if recipe.sac.turned else len(self.tasks)
        self.shape = (agents, len(lanes) // agents)
        self.agents = BatchedSac(
            agents,
            self.family.observation_scale,
            self.family.action_size,
            recipe.steps * len(self.tasks) // agents,
            recipe.sac,
            torch_stream(recipe.seed, "collect", number, "agents"),
        )
        self.lane_frames = TaskFrames(self.family, lanes) if recipe.sac.turned else None
        self.simulation = BatchSimulation(self.family, lanes, threads=0)
        self.observations = self._seen(self.simulation.reset(*self._initial_states(len(lanes))))
        # what one agent acts in at once starts at different ages, so that not all reset together
        self.ages = np.tile(np.arange(self.shape[1]) * self.family.horizon // self.shape[1], agents)
        self.returns, self.last_returns = np.zeros(len(lanes)), np.zeros(len(lanes))
        self.step = 0
        self.snapshots: dict[int, list[torch.Tensor]] = {}
        self.log: list[str] = ["step," + ",".join(f"task {task}" for task in self.tasks)]

    def _initial_states(self, lanes: int) -> tuple[Array, Array]:
        states = [self.family.reset(self.resets) for _ in range(lanes)]
        return np.stack([qpos for qpos, _ in states]), np.stack([qvel for _, qvel in states])

    def _grouped(self, values: NDArray[Any]) -> torch.Tensor:
        """Values (lane, ...) as a float32 tensor (agent, environment, ...)."""
        tensor = torch.from_numpy(values.astype(np.float32))
        return tensor.view(*self.shape, *tensor.shape[1:])

    def _seen(self, observations: NDArray[np.floating]) -> torch.Tensor:
        """Observations (lane, observation) as their agents see them, (agent, environment, observation)."""
        return self._grouped(self.lane_frames.seen(observations) if self.lane_frames else observations)

    def _actors(self) -> list[torch.Tensor]:
        """The weights of each task's actor, (task, ...)."""
        weights = self.agents.actor_weights()
        return TaskFrames(self.family, self.tasks).actors(weights) if self.lane_frames else weights

    def environment_step(self) -> None:
        """One step of all copies of every task's environment, remembered by its agent."""
        shape = (*self.shape, self.family.action_size)
        if self.step < self.recipe.sac.random_steps:
            actions = torch.rand(shape, generator=self.agents.random) * 2 - 1
        else:
            actions = self.agents.act(self.observations)
        after = self.simulation.step(actions.view(-1, shape[-1]).numpy())
        self.agents.remember(
            self.observations,
            actions,
            self._seen(after.observations),
            self._grouped(after.rewards),
            self._grouped(after.terminated),
            torch.from_numpy(self.ages).view(self.shape),
        )
        self.ages += 1
        self.returns += after.rewards
        over = np.flatnonzero(after.terminated | (self.ages >= self.family.horizon))
        observations = after.observations
        if len(over):
            self.last_returns[over] = self.returns[over]
            self.ages[over] = self.returns[over] = 0
            observations = self.simulation.restart(over, *self._initial_states(len(over)))
        self.observations = self._seen(observations)
        self.step += self.recipe.sac.environments

    @torch.no_grad()
    def run(
        self, checkpoint_every: int | None = None, asked_to_stop: Callable[[], bool] = lambda: False
    ) -> None:
        """Train to the end, or until asked to stop between two steps; about every thousandth step is logged.

        Raises RunError if the log, a checkpoint or the snapshots cannot be written, or an agent's training diverges.
        """
        snapshot_steps = set(self.recipe.snapshot_steps)
        every = checkpoint_every or max(self.recipe.steps // CHECKPOINTS, 1)
        while self.step < self.recipe.steps:
            before = self.step
            self.environment_step()
            if self.step >= self.recipe.sac.random_steps:
                self.agents.update()
            if self.step in snapshot_steps:
                self.snapshots[self.step] = self._actors()
                self._check_finite(self.step)
            if self.step // 1000 > before // 1000:
                self._write_log()
            stop = asked_to_stop()
            if self.step < self.recipe.steps and (stop or self.step // every > before // every):
                self.save()
            if stop:
                break
        if self.step == self.recipe.steps:
            self._finish()

    def _check_finite(self, step: int) -> None:
        """Raise RunError where the snapshots after so many steps cannot be shipped."""
        lost = [str(self.tasks[row]) for row in not_finite(self.snapshots[step])]
        if lost:
            raise RunError(
                f"after {step:,} steps the agents of these tasks have weights that are not finite in 16 bits: "
                f"{', '.join(lost)}. Their training has diverged, and its checkpoint is of no use: choose a smaller "
                f"learning_rate in the recipe, and another --out than {self.path.parent}."
            )

    def _write_log(self) -> None:
        means = self.last_returns.reshape(len(self.tasks), -1).mean(1)
        self.log.append(f"{self.step}," + ",".join(f"{value:.1f}" for value in means))
        try:
            write_text(self.log_path, "\n".join(self.log) + "\n")
        except OSError as error:
            raise RunError(
                f"{self.log_path} cannot be written at step {self.step}: {error}. {self._how_to_go_on()}"
            ) from error

    def _how_to_go_on(self) -> str:
        stays = "The last checkpoint stays" if self.path.exists() else "There is no earlier checkpoint"
        return f"{stays}; free some space, then the same command goes on."

    def save(self) -> None:
        """Write the checkpoint in one step; raises RunError if it cannot be written, and the last one stays."""
        state = {
            "recipe": asdict(self.recipe),
            "agents": self.agents.state(),
            "qpos": torch.from_numpy(self.simulation.state.qpos),
            "qvel": torch.from_numpy(self.simulation.state.qvel),
            "torso": torch.from_numpy(self.simulation.state.torso),
            "counters": torch.from_numpy(np.stack([self.ages, self.returns, self.last_returns])),
            "resets": _portable(self.resets.bit_generator.state),
            "step": self.step,
            "snapshots": self.snapshots,
            "log": self.log,
        }
        self._write("checkpoint", self.path, lambda path: _save(path, state))

    def _finish(self) -> None:
        """Write the snapshots; the checkpoint, which is large, is not needed any more."""
        for step in self.snapshots:  # an earlier version did not check them when it took them
            self._check_finite(step)
        tensors = {
            f"{step}/{index}": weight.half()
            for step, weights in self.snapshots.items()
            for index, weight in enumerate(weights)
        }
        header = {"recipe": self.recipe.to_toml()}
        self._write("snapshots", self.done_path, lambda path: save_file(tensors, path, metadata=header))
        self.path.unlink(missing_ok=True)

    def _write(self, what: str, path: Path, write: Callable[[Path], object]) -> None:
        try:
            write_atomically(path, write)
        except (OSError, RuntimeError, SafetensorError) as error:
            raise RunError(
                f"the {what} {path} of step {self.step} cannot be written: {error}. {self._how_to_go_on()}"
            ) from error

    def load(self) -> None:
        """Go on from the checkpoint, where there is one; raises CheckpointError if it does not fit."""
        if not self.path.exists():
            return
        try:
            state: dict[str, Any] = torch.load(self.path, weights_only=True)
        except (RuntimeError, EOFError, OSError, pickle.UnpicklingError) as error:
            raise CheckpointError(
                f"{self.path} cannot be read ({error}); delete it to train these tasks from the start."
            ) from error
        if not _is(self.recipe, state.get("recipe")):
            raise _other_recipe(self.path, state.get("recipe"))
        self.agents.load_state(state["agents"])
        self.simulation.reset(state["qpos"].numpy(), state["qvel"].numpy())
        self.simulation.state.torso[:] = state["torso"].numpy()
        self.observations = self._seen(self.family.observation(self.simulation.state))
        self.ages, self.returns, self.last_returns = (row.copy() for row in state["counters"].numpy())
        self.resets.bit_generator.state = _arrays(state["resets"])
        self.step, self.snapshots, self.log = state["step"], state["snapshots"], state["log"]


def log_path(out: Path, number: int) -> Path:
    """Where a share's learning curve lies."""
    return out / f"share-{number}.csv"


def done_path(out: Path, number: int) -> Path:
    """Where a share's snapshots lie once it is done."""
    return out / f"share-{number}.safetensors"


def read_done(recipe: Recipe, number: int, out: Path) -> list[list[torch.Tensor]] | None:
    """Weights of a share that is done, [snapshot][w1 ... b3] of (task, ...); None where it is not.

    Raises CheckpointError where the file is damaged, of another recipe, or holds agents whose training diverged.
    """
    path = done_path(out, number)
    if not path.exists():
        return None
    try:
        with safe_open(path, "pt") as file:
            found = file.metadata()["recipe"]
            if not _is(recipe, tomllib.loads(found)):
                raise _other_recipe(path, found)
            weights = [
                [file.get_tensor(f"{step}/{index}") for index in range(6)] for step in recipe.snapshot_steps
            ]
    except (SafetensorError, OSError, KeyError, TypeError, tomllib.TOMLDecodeError) as error:
        raise CheckpointError(
            f"{path} cannot be read ({error}); delete it to train these tasks from the start."
        ) from error
    if any(not_finite(snapshot) for snapshot in weights):
        raise CheckpointError(
            f"{path} holds weights that are not finite: the training of its agents has diverged. Choose a smaller "
            "learning_rate in the recipe, and another --out."
        )
    return weights


def not_finite(weights: list[torch.Tensor]) -> list[int]:
    """Rows of weights (task, ...) in which one is not finite once it is rounded to 16 bits."""
    finite = torch.stack([weight.half().isfinite().flatten(1).all(1) for weight in weights]).all(0)
    return [row for row, holds in enumerate(finite.tolist()) if not holds]


def _is(recipe: Recipe, settings: Any) -> bool:
    """Whether these are the recipe's settings; what they leave out, as older ones may, has its default."""
    try:
        return recipe_of(settings) == recipe
    except (ValueError, TypeError, AttributeError, ConfigError):
        return False


def _other_recipe(path: Path, found: object) -> CheckpointError:
    return CheckpointError(f"{path} belongs to another recipe ({found}); choose another --out, or delete it.")


def _save(path: Path, state: dict[str, Any]) -> None:
    with path.open("wb") as file:
        torch.save(state, file)


def _portable(state: Any) -> Any:
    """A generator's state with lists for arrays, which a weights-only checkpoint can hold."""
    if isinstance(state, dict):
        return {key: _portable(value) for key, value in state.items()}
    return state.tolist() if isinstance(state, np.ndarray) else state


def _arrays(state: Any) -> Any:
    if isinstance(state, dict):
        return {key: _arrays(value) for key, value in state.items()}
    return np.array(state, dtype=np.uint64) if isinstance(state, list) else state
