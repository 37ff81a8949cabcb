"""The published MACAW buffers: one HDF5 file per task, every episode stored back to front.

    row in the file       0     1    ...   199  |  200   201   ...
    step of its episode  199   198   ...    0   |  199   198   ...         an episode begins where the step before
                                                                            it in time is not in the row after it
    obs, next_obs, terminal_obs (row, observation); actions (row, action); rewards, mc_rewards, terminals,
    terminal_discounts (row, 1); discount_factor ()

mc_rewards are discounted returns to the episode's end, terminal_obs the episode's last next_obs, terminal_discounts
discount_factor to the power of the steps until then. Task parameters lie in pickles beside the buffers.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from benchmark.data.dataset import Progress, no_progress
from benchmark.data.exchange.checks import Check, common_checks, compared
from benchmark.data.exchange.hdf5 import action_column, check_lengths, column, flags, opened, row_count
from benchmark.data.exchange.intake import Portion, as_dataset, assigned, columns_of
from benchmark.data.exchange.motion import ROUNDING, time_limits
from benchmark.data.exchange.safe_pickle import read_pickle
from benchmark.errors import ConfigError, DataError
from benchmark.families.family import Family, published_tasks

KEYS = (
    "obs", "actions", "rewards", "mc_rewards", "terminals", "terminal_obs", "terminal_discounts", "next_obs",
    "discount_factor",
)  # fmt: skip
PICKLES = (".pkl", ".pickle")
NUMBERS = (r"(?:train|test)_(?:task_?)?(\d+)", r"task_?(\d+)", r"\d+")
"""Where the number of a task is in a file's name; the next is looked for where there is none of the one before.

The published names are `buffers_walker_param_train_31_sub_task_0.hdf5` and `env_walker_param_train_task31.pkl`;
families' names have numbers too, such as walker2d or ml45.
"""


def find_tasks(family: Family, paths: Sequence[Path], tasks: Sequence[int] | None) -> dict[int, Path]:
    """The buffer of each task, in order of tasks.

    The task of a buffer is the one of `tasks` in its place; or the one whose parameter lies in the pickle of the
    same number, as the names of both say it; or that number itself. Raises ConfigError where it is not certain,
    DataError for pickles that are damaged or hold the parameter of no task.
    """
    pickles = [path for path in paths if path.suffix in PICKLES]
    buffers = [path for path in paths if path.suffix not in PICKLES]
    if not buffers:
        raise ConfigError("data import: no buffer among the paths; give the HDF5 files, one per task.")
    if tasks is not None:
        if pickles:
            raise ConfigError(
                f"--tasks and {pickles[0]} both say of which tasks the buffers are: leave out the pickles, or --tasks."
            )
        return assigned(family, buffers, tasks)
    named: dict[int, Path] = {}
    for path in pickles:
        if (other := named.setdefault(_number(path), path)) != path:
            raise ConfigError(
                f"{other} and {path} have the same number: give the one that belongs to the buffer, or no pickles, "
                "but --tasks in the order of the buffers."
            )
    by_number = {number: _task_of(family, path) for number, path in named.items()}
    numbers = [_number(path) for path in buffers]
    if pickles and set(numbers) - by_number.keys():
        lacking = ", ".join(str(path) for path in buffers if _number(path) not in by_number)
        raise ConfigError(f"no pickle of the same number for {lacking}; give it too, or say --tasks.")
    return assigned(family, buffers, [by_number.get(number, number) for number in numbers])


def _number(path: Path) -> int:
    for pattern in NUMBERS:
        found = re.findall(pattern, re.sub(r"sub_task_\d+", "", path.stem))
        if len(found) == 1:
            return int(found[0])
        if found:
            break
    raise ConfigError(
        f"the name of {path} has {'several numbers' if found else 'no number of a task'}; give no pickles, but "
        "--tasks, in the order of the buffers."
    )


def _task_of(family: Family, path: Path) -> int:
    """The task whose parameter a pickle holds: a dict of it, or a list of one such dict."""
    content = read_pickle(path)
    if isinstance(content, list) and len(content) == 1:
        content = content[0]
    published = published_tasks().get(family.name, {"tasks": [0.0]})["tasks"][0]
    order = list(published) if isinstance(published, dict) else None
    try:
        values = [content[name] for name in order] if order else list(content.values())
        parameter = np.concatenate([np.ravel(value).astype(np.float64) for value in values])
    except (AttributeError, TypeError, ValueError, KeyError) as error:
        raise DataError(
            f"{path} does not hold task parameters: expected a dict of {', '.join(order or ['one number'])} "
            f"({error}). Say --tasks instead."
        ) from error
    known = family.parameters.reshape(family.tasks, -1)
    same = np.zeros(family.tasks, np.bool_)
    if parameter.shape == known.shape[1:]:
        same = np.isclose(known, parameter, rtol=1e-6, atol=1e-9).all(1)
    if not same.any():
        raise DataError(
            f"{path}: {str(content)[:80]} is the parameter of no task of {family.id}. Check --family; data of "
            "other tasks can be relabelled, but not imported as these."
        )
    return int(np.flatnonzero(same)[0])


def read_portions(
    family: Family, files: Mapping[int, Path], progress: Progress = no_progress
) -> Iterator[Portion]:
    """The portions of these tasks, one file in memory at a time; raises DataError for files that do not fit."""
    for done, (task, path) in enumerate(files.items()):
        progress(done, len(files))
        with opened(path, KEYS) as file:
            columns, discount = _read(family, file)
        yield _portion(family, task, _buffer(family, path, columns, discount))
    progress(len(files), len(files))


@dataclass(frozen=True)
class _Buffer:
    """A file's columns, its rows put into the order of time within every episode."""

    columns: Mapping[str, NDArray[Any]]
    lengths: NDArray[np.int64]
    discount: float

    @property
    def starts(self) -> NDArray[np.int64]:
        """(episode,), first row of every episode."""
        return np.cumsum(self.lengths) - self.lengths

    @property
    def left(self) -> NDArray[np.int64]:
        """(row,), steps to the end of the episode, this one included."""
        ends = np.repeat(self.starts + self.lengths, self.lengths)
        return np.asarray(ends - np.arange(len(ends)))


def _read(family: Family, file: h5py.File) -> tuple[dict[str, NDArray[Any]], float]:
    """The columns as they are stored, and the discount factor."""
    rows = row_count(file, "obs")
    widths = dict.fromkeys(("obs", "next_obs", "terminal_obs"), family.observation_size)
    columns: dict[str, NDArray[Any]] = {
        name: column(file, name, rows, widths.get(name))
        for name in KEYS[:-1]
        if name not in ("actions", "terminals")
    }
    columns["actions"] = action_column(file, rows, family.action_size)
    columns["terminals"] = flags(file, "terminals", rows)
    found = file["discount_factor"]
    discount = float(np.reshape(found[()], ())) if found.size == 1 and found.dtype.kind in "iuf" else 0.0
    if not 0 < discount <= 1:
        raise DataError(f"{file.filename}: discount_factor is not one number in (0, 1].")
    return columns, discount


def _buffer(family: Family, path: Path, columns: dict[str, NDArray[Any]], discount: float) -> _Buffer:
    lengths = _lengths(path, columns["obs"], columns["next_obs"])
    advice = (
        "Check --family. Longer ones can be taken in as pieces: in D4RL's layout (--from d4rl), with 1 in timeouts at "
        "the last step of each."
    )
    check_lengths(path, family, lengths, advice)
    starts = np.cumsum(lengths) - lengths
    order = np.repeat(2 * starts + lengths - 1, lengths) - np.arange(len(columns["obs"]))
    for name in columns:  # one after another, so that few are in memory twice
        columns[name] = columns[name][order]
    return _Buffer(columns, lengths, discount)


def _lengths(
    path: Path, observations: NDArray[np.floating], following: NDArray[np.floating]
) -> NDArray[np.int64]:
    """Lengths of the episodes, from where a row's next observation is not the observation of the row before."""
    continued = (following[1:] == observations[:-1]).all(1)
    forward = (following[:-1] == observations[1:]).all(1)
    if forward.sum() > continued.sum():
        raise DataError(
            f"{path}: its episodes are stored in the order of time, but the published buffers' are back to "
            "front. Check --from."
        )
    edges = np.concatenate([[0], np.flatnonzero(~continued) + 1, [len(observations)]])
    return np.diff(edges)


def _portion(family: Family, task: int, buffer: _Buffer) -> Portion:
    columns, lengths = buffer.columns, buffer.lengths
    last = buffer.starts + lengths - 1
    finals = columns["next_obs"][last]
    frames = np.arange(len(columns["obs"])) + np.repeat(np.arange(len(lengths)), lengths)
    observations = np.empty((len(frames) + len(lengths), finals.shape[1]), np.float32)
    observations[frames] = columns["obs"]
    observations[frames[last] + 1] = finals
    terminated = columns["terminals"][last] & ~time_limits(family, lengths, finals)
    ready = columns_of(task, observations, columns["actions"], columns["rewards"], lengths, terminated)
    data = as_dataset(f"task {task}", ready)
    return Portion(ready, [*common_checks(family, data, columns["terminals"]), *_own_checks(buffer)])


def _own_checks(buffer: _Buffer) -> list[Check]:
    """Checks of what only this format has: returns, final observations and discounts."""
    columns, discount, left = buffer.columns, buffer.discount, buffer.left
    rewards = columns["rewards"].astype(np.float64)
    returns, sizes = np.zeros(len(rewards) + 1), np.zeros(len(rewards) + 1)
    for back in range(1, int(buffer.lengths.max()) + 1):
        rows = (buffer.starts + buffer.lengths)[buffer.lengths >= back] - back
        goes_on = discount if back > 1 else 0.0
        returns[rows] = rewards[rows] + goes_on * returns[rows + 1]
        sizes[rows] = np.abs(rewards[rows]) + goes_on * sizes[rows + 1]
    last = np.repeat(buffer.starts + buffer.lengths - 1, buffer.lengths)
    off = np.abs(columns["terminal_obs"] - columns["next_obs"][last]).max(1)
    inside = columns["terminals"] & (left > 1)
    return [
        compared(
            "Monte-Carlo returns", "discounted sums of the rewards", columns["mc_rewards"] - returns[:-1],
            ROUNDING * (left + 2) * (sizes[:-1] + ROUNDING),
        ),
        compared("terminal observations", "the episode's last next observation", off),
        compared(
            "terminal discounts", "the discount to the power of the steps left",
            columns["terminal_discounts"] - discount**left, ROUNDING * (left + 2),
        ),
        compared("terminal flags inside episodes", "none", inside.astype(float)),
    ]  # fmt: skip
