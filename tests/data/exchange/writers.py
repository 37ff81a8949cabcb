"""Data in other projects' formats, written here from their descriptions, and bodies recorded as Gymnasium does."""

import pickle
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import h5py
import numpy as np
from minari.data_collector import EpisodeBuffer
from minari.dataset.minari_storage import MinariStorage

from benchmark.data import store
from benchmark.data.dataset import Dataset
from benchmark.data.exchange.intake import as_dataset
from benchmark.families.family import Family
from benchmark.families.simulation import BatchSimulation

Columns = dict[str, Any]


def macaw_columns(data: Dataset, task: int, discount: float = 0.99) -> Columns:
    """A task's data as a MACAW buffer: every episode from its last step to its first."""
    rows: dict[str, list[Any]] = {}
    for number in data.episodes_of_task(task):
        one, length = data.episode(number), int(data.lengths[number])
        future, factor = 0.0, 1.0
        for step in reversed(range(length)):
            future = float(one["rewards"][step]) + discount * future
            factor *= discount
            row = {
                "obs": one["observations"][step],
                "actions": one["actions"][step],
                "rewards": [one["rewards"][step]],
                "mc_rewards": [future],
                "terminals": [bool(data.terminated[number]) and step == length - 1],
                "terminal_obs": one["observations"][length],
                "terminal_discounts": [factor],
                "next_obs": one["observations"][step + 1],
            }
            for name, value in row.items():
                rows.setdefault(name, []).append(value)
    columns = {
        name: np.array(values, bool if name == "terminals" else np.float32) for name, values in rows.items()
    }
    return columns | {"discount_factor": discount}


def write_hdf5(path: Path, columns: Mapping[str, Any]) -> Path:
    with h5py.File(path, "w") as file:
        for name, values in columns.items():
            if np.ndim(values):
                file.create_dataset(name, data=values, compression="lzf")
            else:
                file.create_dataset(name, data=values)
    return path


def write_macaw(folder: Path, data: Dataset, key: str, parameters: Mapping[int, Any]) -> list[Path]:
    """A buffer and a pickle per task, named as the published ones."""
    folder.mkdir(exist_ok=True)
    paths = []
    for task, value in parameters.items():
        buffer = folder / f"buffers_family_train_{task}_sub_task_0.hdf5"
        paths += [write_hdf5(buffer, macaw_columns(data, task)), folder / f"env_family_train_task{task}.pkl"]
        paths[-1].write_bytes(pickle.dumps([{key: value}], 3))
    return paths


@dataclass(frozen=True)
class Recorded:
    """What really happened in episodes (episode, step, ...) of a body."""

    qpos: np.ndarray
    qvel: np.ndarray
    torso: np.ndarray
    actions: np.ndarray
    observations: np.ndarray
    """In the family's form."""
    rewards: np.ndarray
    """Of the family's tasks."""
    lengths: np.ndarray
    terminated: np.ndarray
    tasks: np.ndarray


def act_out(family: Family, tasks: list[int], steps: int, seed: int = 0) -> Recorded:
    """Random swinging of the joints, smooth enough for the body to move about, of episodes of these tasks."""
    random = np.random.default_rng(seed)
    states = [family.reset(random) for _ in tasks]
    qpos, qvel = (np.stack(part) for part in zip(*states, strict=True))
    phases = random.uniform(0, 2 * np.pi, (len(tasks), 1, family.action_size))
    rhythm = random.uniform(0.2, 1.2, (len(tasks), 1, family.action_size))
    swing = np.sin(rhythm * np.arange(steps)[None, :, None] + phases)
    noise = random.uniform(-0.5, 0.5, swing.shape)
    actions = np.clip(swing + noise, -1, 1).astype(np.float32)
    found: dict[str, list[Any]] = {name: [] for name in ("qpos", "qvel", "torso", "observations", "rewards")}
    lengths, over = np.full(len(tasks), steps), np.zeros(len(tasks), bool)
    with BatchSimulation(family, tasks, threads=0) as simulation:
        found["observations"].append(simulation.reset(qpos, qvel))
        for step in range(steps + 1):
            for name, value in zip(("qpos", "qvel", "torso"), simulation.state, strict=True):
                found[name].append(value)
            if step < steps:
                after = simulation.step(actions[:, step])
                found["observations"].append(after.observations)
                found["rewards"].append(after.rewards)
                lengths[after.terminated & ~over] = step + 1
                over |= after.terminated
    arrays = {name: np.stack(values, 1) for name, values in found.items()}
    return Recorded(**arrays, actions=actions, lengths=lengths, terminated=over, tasks=np.array(tasks))


def as_data(seen: Recorded, identity: str = "omrl/made-up/mixed-v1") -> Dataset:
    """The episodes as a data set."""
    inside = np.arange(seen.actions.shape[1]) < seen.lengths[:, None]
    observed = np.arange(seen.observations.shape[1]) <= seen.lengths[:, None]
    columns = {
        "observations": seen.observations[observed],
        "actions": seen.actions[inside],
        "rewards": seen.rewards[inside],
        "log_probs": np.zeros(inside.sum()),
        "tasks": seen.tasks,
        "snapshots": np.zeros(len(seen.tasks)),
        "lengths": seen.lengths,
        "terminated": seen.terminated,
    }
    return as_dataset(identity, columns)


def write_gymnasium(
    identity: str, environment: str, buffers: list[EpisodeBuffer], spec: Mapping[str, Any] | None = None
) -> Path:
    """A Minari data set such as others publish, of one of Gymnasium's environments."""
    folder = store.folder_of(identity) / "data"
    folder.mkdir(parents=True)
    spaces = [
        gymnasium.spaces.Box(-np.inf, np.inf, np.shape(values)[1:], np.float64)
        for values in (buffers[0].observations, buffers[0].actions)
    ]
    described = deepcopy(gymnasium.spec(environment))
    described.kwargs.update(spec or {})
    storage = MinariStorage.new(folder, *spaces, env_spec=described, data_format="hdf5")
    storage.update_metadata({"dataset_id": identity, "minari_version": "0.5.4"})
    storage.update_episodes(buffers)
    return folder


def cheetah_buffers(
    seen: Recorded, infos: tuple[str, ...] = (), control_cost: float = 0.1
) -> list[EpisodeBuffer]:
    """Half-cheetah episodes as Gymnasium shows and rewards them."""
    buffers = []
    for qpos, qvel, actions in zip(seen.qpos, seen.qvel, seen.actions, strict=True):
        speeds = np.diff(qpos[:, 0]) / 0.05
        told = {
            "x_position": qpos[:, 0], "x_velocity": np.concatenate([[np.nan], speeds]), "qpos": qpos, "qvel": qvel,
        }  # fmt: skip
        steps = len(actions)
        buffers.append(
            EpisodeBuffer(
                observations=np.concatenate([qpos[:, 1:], qvel], 1), actions=actions.astype(np.float64),
                rewards=speeds - control_cost * np.square(actions.astype(np.float64)).sum(-1),
                terminations=np.zeros(steps, bool), truncations=np.arange(steps) == steps - 1,
                infos={name: told[name] for name in infos} or None,
            )
        )  # fmt: skip
    return buffers


def ant_buffers(seen: Recorded, infos: bool, forces: int = 78) -> list[EpisodeBuffer]:
    """Ant episodes as Gymnasium shows and rewards them."""
    buffers = []
    for lane, steps in enumerate(seen.lengths):
        frames = np.concatenate([seen.qpos[lane, :, 2:], seen.qvel[lane]], 1)[: steps + 1]
        speeds = np.diff(seen.torso[lane, : steps + 1, :2], axis=0) / 0.05
        last, actions = np.arange(steps) == steps - 1, seen.actions[lane, :steps].astype(np.float64)
        buffers.append(
            EpisodeBuffer(
                observations=np.concatenate([frames, np.zeros((steps + 1, forces))], 1),
                actions=actions, rewards=speeds[:, 0] + 1.0 - 0.5 * np.square(actions).sum(-1),
                terminations=last & seen.terminated[lane], truncations=last & ~seen.terminated[lane],
                infos={"x_velocity": speeds[:, 0], "y_velocity": speeds[:, 1]} if infos else None,
            )
        )  # fmt: skip
    return buffers
