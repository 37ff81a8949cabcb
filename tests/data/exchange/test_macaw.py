"""The published MACAW buffers: a full round trip, every disagreement reported, every broken file one message."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import minari
import numpy as np
import pytest
from minari.dataset.minari_storage import MinariStorage

from benchmark import families
from benchmark.data import store
from benchmark.data.dataset import Dataset
from benchmark.data.exchange import intake, macaw
from benchmark.errors import ConfigError, DataError
from benchmark.families.family import Family
from tests.data.exchange.conftest import taken
from tests.data.exchange.writers import act_out, as_data, macaw_columns, write_hdf5


def test_a_round_trip_gives_the_same_data_in_the_order_of_time(
    paths: list[Path], cheetah: Family, cheetah_data: Dataset
) -> None:
    data, checks = taken(cheetah, paths)
    assert data.id == "imported/cheetah-dir/theirs-v0"
    for name in ("observations", "actions", "rewards", "tasks", "lengths", "terminated"):
        assert np.array_equal(getattr(data, name), getattr(cheetah_data, name)), name
    assert np.isnan(data.log_probs).all()
    assert set(data.snapshots.tolist()) == {intake.UNKNOWN}
    assert len(checks) == 8
    for check in checks.values():
        assert check.disagree == 0, check
        assert check.checked in (data.rows, data.episodes)
    assert 0 < checks["rewards"].largest < 1e-4


def test_it_opens_with_plain_minari_and_says_that_it_is_not_the_standard(
    paths: list[Path], cheetah: Family
) -> None:
    data, _ = taken(cheetah, paths)
    opened = minari.load_dataset("imported/cheetah-dir/theirs-v0")
    assert opened.total_steps == data.rows
    assert np.array_equal(opened[0].observations, data.episode(0)["observations"])
    metadata = MinariStorage.read(store.folder_of(data.id) / "data").metadata
    assert metadata["standard"] is False
    assert "NOT data of the standard" in metadata["description"]
    assert metadata["origin"] == {"format": "macaw"}
    assert metadata["content_hash"] == data.content_hash
    assert {check["what"] for check in metadata["checks"]} >= {"rewards", "Monte-Carlo returns"}


def test_the_task_is_the_one_of_the_pickles_parameter(
    tmp_path: Path, cheetah: Family, cheetah_data: Dataset
) -> None:
    """The data of task 0 lie in a file of number 1 here, and the other way round."""
    ours = {0: write_hdf5(tmp_path / "train_1_sub_task_0.hdf5", macaw_columns(cheetah_data, 0)),
            1: write_hdf5(tmp_path / "train_0_sub_task_0.hdf5", macaw_columns(cheetah_data, 1))}  # fmt: skip
    pickles = [tmp_path / "task0.pkl", tmp_path / "task1.pkl"]
    for path, direction in zip(pickles, (-1, 1), strict=True):
        path.write_bytes(pickle.dumps({"direction": direction}))
    data, checks = taken(cheetah, [*ours.values(), *pickles])
    assert np.array_equal(data.rewards, cheetah_data.rewards)
    assert checks["rewards"].disagree == 0
    chosen, _ = taken(cheetah, [ours[1]], "one", tasks=[1])
    assert chosen.tasks.tolist() == [1] * chosen.episodes
    _, wrong = taken(cheetah, list(ours.values()), "by-number")
    assert wrong["rewards"].disagree > 0.9 * data.rows


def test_walkers_parameters_are_recognised(tmp_path: Path) -> None:
    walker = families.family("walker-params")
    sizes = {"body_mass": (8, 1), "body_inertia": (8, 3), "dof_damping": (9, 1), "geom_friction": (8, 3)}
    edges = np.cumsum([int(np.prod(size)) for size in sizes.values()])[:-1]
    parts = np.split(walker.parameters[31], edges)
    content = {name: part.reshape(sizes[name]) for name, part in zip(sizes, parts, strict=True)}
    (tmp_path / "env_task4.pkl").write_bytes(pickle.dumps([dict(reversed(content.items()))]))
    assert macaw._task_of(walker, tmp_path / "env_task4.pkl") == 31


def test_time_limits_that_were_stored_as_terminal_are_truncations(
    tmp_path: Path, cheetah: Family, cheetah_data: Dataset
) -> None:
    columns = macaw_columns(cheetah_data, 0)
    columns["terminals"][::200] = True
    data, checks = taken(cheetah, [write_hdf5(tmp_path / "b_0.hdf5", columns)])
    assert not data.terminated.any()
    assert checks["terminal flags"].disagree == data.episodes


def test_true_terminations_are_kept(tmp_path: Path, falling: Family, falling_data: Dataset) -> None:
    paths = [write_hdf5(tmp_path / f"b_{task}.hdf5", macaw_columns(falling_data, task)) for task in (0, 1)]
    data, checks = taken(falling, paths)
    assert np.array_equal(data.terminated, falling_data.terminated)
    assert np.array_equal(data.lengths, falling_data.lengths)
    assert len(set(data.lengths.tolist())) > 3
    for check in checks.values():
        assert check.disagree == 0, check


def bend(columns: dict[str, Any], name: str, by: float) -> None:
    columns[name][123] += by


@pytest.mark.parametrize(
    ("column", "by", "what", "count"),
    [
        ("rewards", 0.01, "rewards", 1),
        ("mc_rewards", 0.5, "Monte-Carlo returns", 1),
        ("terminal_obs", 0.25, "terminal observations", 1),
        ("terminal_discounts", 0.125, "terminal discounts", 1),
        ("actions", 0.9, "actions", 1),
    ],
)
def test_what_disagrees_is_counted_and_measured(
    tmp_path: Path, cheetah: Family, cheetah_data: Dataset, column: str, by: float, what: str, count: int
) -> None:
    columns = macaw_columns(cheetah_data, 0)
    bend(columns, column, by)
    _, checks = taken(cheetah, [write_hdf5(tmp_path / "b_0.hdf5", columns)])
    assert checks[what].disagree == count
    largest = {"actions": np.abs(columns["actions"]).max() - 1}.get(column, by)
    assert checks[what].largest == pytest.approx(largest, rel=1e-2)


def test_episodes_cut_by_a_full_buffer_and_terminals_inside_are_reported(
    tmp_path: Path, cheetah: Family, cheetah_data: Dataset
) -> None:
    columns = macaw_columns(cheetah_data, 0)
    columns["terminals"][250] = True
    cut = {name: value[60:] if np.ndim(value) else value for name, value in columns.items()}
    data, checks = taken(cheetah, [write_hdf5(tmp_path / "b_0.hdf5", cut)])
    assert data.lengths[0] == 140
    assert (checks["episode lengths"].disagree, checks["episode lengths"].largest) == (1, 60)
    assert checks["terminal flags inside episodes"].disagree == 1
    assert checks["Monte-Carlo returns"].disagree > 0
    assert checks["rewards"].disagree == 0


@pytest.mark.parametrize("name", ["ant-dir", "walker-params", "hopper-params", "humanoid-dir"])
def test_rewards_are_compared_as_far_as_velocities_tell(tmp_path: Path, name: str) -> None:
    family = families.family(name)
    joined = macaw_columns(as_data(act_out(family, [3, 3, 3], 60)), 3)
    _, checks = taken(family, [write_hdf5(tmp_path / "b_3.hdf5", joined)])
    assert "approximate" in checks["rewards"].against
    assert checks["rewards"].disagree == 0
    assert checks["terminal flags"].disagree == 0
    _, wrong = taken(
        family, [write_hdf5(tmp_path / "b_3.hdf5", joined | {"rewards": joined["rewards"] + 3})], "off"
    )
    assert wrong["rewards"].disagree == len(joined["rewards"])


def without(name: str) -> Callable[[dict[str, Any]], Any]:
    return lambda columns: columns.pop(name)


def put(name: str, value: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda columns: columns.update({name: value(columns[name])})


def broken(name: str, value: float) -> Callable[[dict[str, Any]], Any]:
    def change(columns: dict[str, Any]) -> None:
        columns[name][37] = value

    return change


def forwards(columns: dict[str, Any]) -> None:
    columns.update({name: value[::-1] for name, value in columns.items() if np.ndim(value)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("mc_rewards"), "has no mc_rewards; it has"),
        (without("discount_factor"), "has no discount_factor"),
        (put("obs", lambda value: value[:, :17]), r"obs has the shape \(\d+, 17\) instead of .*--family"),
        (put("actions", lambda value: value[:-1]), "actions has the shape"),
        (put("rewards", lambda value: np.repeat(value, 2, axis=1)), "rewards has the shape"),
        (put("rewards", lambda value: value.astype("S8")), "not of numbers"),
        (put("terminals", lambda value: value + 2.0), "other values than 0 and 1"),
        (put("discount_factor", lambda value: 1.5), "discount_factor is not one number"),
        (put("discount_factor", lambda value: "0.99"), "discount_factor is not one number"),
        (put("discount_factor", lambda value: np.full(2, 0.9)), "discount_factor is not one number"),
        (put("obs", lambda value: value[:0]), "no rows"),
        (put("next_obs", lambda value: value.astype(float) * 1e300), "not finite"),
        (broken("rewards", np.nan), "rewards holds 1 row.*the first is row 37"),
        (broken("obs", np.inf), "obs holds 1 row"),
        (forwards, "in the order of time"),
    ],
)
def test_files_that_do_not_fit_are_one_message_and_leave_nothing(
    tmp_path: Path, cheetah: Family, cheetah_data: Dataset, nothing_kept: Callable[[], None],
    change: Callable[[dict[str, Any]], Any], message: str,
) -> None:  # fmt: skip
    good = write_hdf5(tmp_path / "b_0.hdf5", macaw_columns(cheetah_data, 0))
    columns = macaw_columns(cheetah_data, 1)
    change(columns)
    bad = write_hdf5(tmp_path / "b_1.hdf5", columns)
    with pytest.raises(DataError, match=message) as caught:
        taken(cheetah, [good, bad])
    assert str(bad) in str(caught.value)
    nothing_kept()


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.7, 0.99])
def test_truncated_files_are_one_message(
    paths: list[Path], cheetah: Family, nothing_kept: Callable[[], None], kept: float
) -> None:
    content = paths[0].read_bytes()
    paths[0].write_bytes(content[: int(kept * len(content))])
    with pytest.raises(DataError, match="cannot be read as HDF5") as caught:
        taken(cheetah, paths)
    assert str(paths[0]) in str(caught.value)
    nothing_kept()


def test_bytes_damaged_inside_are_never_a_traceback(paths: list[Path], cheetah: Family) -> None:
    content = paths[0].read_bytes()
    for position in range(0, len(content), len(content) // 23):
        paths[0].write_bytes(content[:position] + bytes(range(256)) + content[position + 256 :])
        try:
            taken(cheetah, paths, f"bent-{position}")
        except DataError as error:
            assert str(paths[0]) in str(error) or "very same" in str(error)


def test_a_discount_factor_that_memory_cannot_hold_is_not_read(paths: list[Path], cheetah: Family) -> None:
    with h5py.File(paths[0], "r+") as file:
        del file["discount_factor"]
        file.create_dataset("discount_factor", (10**13,), "f4", chunks=(1000,))
    with pytest.raises(DataError, match="discount_factor is not one number"):
        taken(cheetah, paths)


def test_groups_in_the_place_of_columns_are_missing_columns(tmp_path: Path, cheetah: Family) -> None:
    with h5py.File(tmp_path / "b_0.hdf5", "w") as file:
        for key in macaw.KEYS:
            file.create_group(key)
    with pytest.raises(DataError, match="has no obs and no actions"):
        taken(cheetah, [tmp_path / "b_0.hdf5"])


@pytest.mark.parametrize(
    ("names", "tasks", "message"),
    [
        (["a.hdf5"], None, "no number of a task"),
        (["a_7.hdf5"], None, "no task 7; its tasks are 0 to 1"),
        (["a_0.hdf5", "b_0.hdf5"], None, "one file for each"),
        (["a_0.hdf5"], [0, 1], "one file for each"),
        (["a_0.hdf5", "a_1.hdf5"], [1, 1], "a_0.hdf5 and .*a_1.hdf5 are all of task 1"),
        (["a_1_of_2.hdf5"], None, "several numbers"),
        (["train_0_test_1.hdf5"], None, "several numbers"),
        (["cheetah_sub_task_0.hdf5"], None, "no number of a task"),
        (["a_1.hdf5", "env_0.pkl"], [1], "--tasks and .*env_0.pkl both say"),
        (["a_1.hdf5", "env_train_task1.pkl", "env_test_task1.pkl"], None, "have the same number"),
        (["a_0.pkl"], None, "no buffer among the paths"),
        (["a_0.hdf5", "a_1.hdf5", "env_0.pkl"], None, "no pickle of the same number for .*a_1"),
    ],
)
def test_files_that_cannot_be_assigned(
    tmp_path: Path, cheetah: Family, names: list[str], tasks: Any, message: str
) -> None:
    for name in names:
        (tmp_path / name).write_bytes(pickle.dumps([{"direction": 1}]))
    with pytest.raises(ConfigError, match=message):
        taken(cheetah, [tmp_path / name for name in names], tasks=tasks)


@pytest.mark.parametrize(
    "name",
    [
        "buffers_walker_param_train_31_sub_task_0.hdf5", "buffers_walker2d_params_train_31_sub_task_0.hdf5",
        "buffers_ml45_test_31_sub_task_7.hdf5", "env_walker2d_train_task31.hdf5", "walker2d_task_31.hdf5", "31.hdf5",
    ],
)  # fmt: skip
def test_the_number_of_a_name_is_its_tasks(name: str) -> None:
    assert macaw.find_tasks(families.family("walker-params"), [Path(name)], None) == {31: Path(name)}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([{"direction": 0.5}], "is the parameter of no task of cheetah-dir-v1"),
        ([{"direction": [1, 2]}], "is the parameter of no task"),
        ([{"direction": "forward"}], "does not hold task parameters"),
        (3, "does not hold task parameters"),
        ([], "does not hold task parameters"),
    ],
)
def test_parameters_that_are_not_the_familys(
    paths: list[Path], cheetah: Family, content: Any, message: str
) -> None:
    paths[1].write_bytes(pickle.dumps(content))
    with pytest.raises(DataError, match=message) as caught:
        taken(cheetah, paths)
    assert str(paths[1]) in str(caught.value)
