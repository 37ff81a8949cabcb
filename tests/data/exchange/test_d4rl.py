"""D4RL's layout: what is written passes the checks of its loader, and reads back as what it was."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from benchmark import families
from benchmark.data.dataset import Dataset
from benchmark.data.exchange import d4rl
from benchmark.errors import ConfigError, DataError
from benchmark.families.family import Family
from benchmark.results.rows import normalised_score
from tests.data.conftest import full_disk
from tests.data.exchange.d4rl_files import REFERENCES, loaded, taken
from tests.data.exchange.writers import write_hdf5


@pytest.fixture
def path(tmp_path: Path, cheetah: Family, cheetah_data: Dataset) -> Path:
    d4rl.write_task(cheetah, cheetah_data, 1, REFERENCES, tmp_path / "one" / "task-1.hdf5")
    return tmp_path / "one" / "task-1.hdf5"


def test_the_file_fulfils_what_d4rls_loader_demands(
    path: Path, cheetah: Family, cheetah_data: Dataset
) -> None:
    columns = loaded(path)
    count = len(columns["observations"])
    assert count == 1600
    assert columns["observations"].shape == (count, cheetah.observation_size)
    assert columns["actions"].shape == (count, cheetah.action_size)
    for name in ("rewards", "terminals", "timeouts"):
        assert columns[name].shape == (count,)
    assert columns["next_observations"].shape == columns["observations"].shape
    for name in ("observations", "actions", "rewards", "next_observations", "infos/action_log_probs"):
        assert columns[name].dtype == np.float32
    for name in ("terminals", "timeouts"):
        assert columns[name].dtype == np.bool_
    assert np.flatnonzero(columns["timeouts"]).tolist() == list(range(199, 1600, 200))
    assert not columns["terminals"].any()
    inside = ~columns["timeouts"][:-1]
    assert np.array_equal(columns["next_observations"][:-1][inside], columns["observations"][1:][inside])
    rows = cheetah_data.rows_of_task(1)
    assert np.array_equal(columns["rewards"], cheetah_data.rewards[rows])
    assert np.array_equal(columns["actions"], cheetah_data.actions[rows])


def test_the_file_says_what_it_is(path: Path, cheetah_data: Dataset) -> None:
    with h5py.File(path) as file:
        said = dict(file.attrs)
    assert said["data"] == cheetah_data.id
    assert said["content_hash"] == cheetah_data.content_hash
    assert (said["family"], said["task"], said["task_parameter"]) == ("cheetah-dir-v1", 1, -1)
    assert (said["ref_min_score"], said["ref_max_score"]) == (-20, 2000)


def test_scores_are_d4rls_normalised_scores_times_hundred(path: Path) -> None:
    with h5py.File(path) as file:
        low, high = file.attrs["ref_min_score"], file.attrs["ref_max_score"]
    for value in (-20.0, 500.0, 2400.0):
        d4rls = (value - low) / (high - low)
        assert normalised_score(value, REFERENCES.random[1], REFERENCES.expert[1]) == pytest.approx(
            100 * d4rls
        )


def test_d4rls_own_loader_reads_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Skipped where d4rl cannot be imported: `make test` installs the parts of it that need no MuJoCo 2.1."""
    monkeypatch.setenv("D4RL_SUPPRESS_IMPORT_ERROR", "1")
    loader = pytest.importorskip("d4rl.offline_env", exc_type=Exception)
    scores, gym = pytest.importorskip("d4rl"), pytest.importorskip("gym")
    environment = loader.OfflineEnv(ref_min_score=-20.0, ref_max_score=2000.0)
    environment.observation_space = gym.spaces.Box(-np.inf, np.inf, (20,))
    environment.action_space = gym.spaces.Box(-1, 1, (6,))
    columns = environment.get_dataset(h5path=str(path))
    for name, values in loaded(path).items():
        assert np.array_equal(columns[name], values)
    monkeypatch.setitem(scores.infos.REF_MIN_SCORE, "ours-v0", -20.0)
    monkeypatch.setitem(scores.infos.REF_MAX_SCORE, "ours-v0", 2000.0)
    ours = normalised_score(700.0, REFERENCES.random[1], REFERENCES.expert[1])
    assert 100 * scores.get_normalized_score("ours-v0", 700.0) == pytest.approx(ours)


def test_a_round_trip_gives_the_same_data(
    path: Path, tmp_path: Path, cheetah: Family, cheetah_data: Dataset
) -> None:
    d4rl.write_task(cheetah, cheetah_data, 0, REFERENCES, tmp_path / "task-0.hdf5")
    data, checks = taken(cheetah, {0: tmp_path / "task-0.hdf5", 1: path})
    for name in ("observations", "actions", "rewards", "tasks", "lengths", "terminated"):
        assert np.array_equal(getattr(data, name), getattr(cheetah_data, name)), name
    for check in checks.values():
        assert check.disagree == 0
    assert checks["rewards"].checked == data.rows
    assert data.content_hash != cheetah_data.content_hash


def test_files_that_say_their_task_are_taken_by_it(
    path: Path, tmp_path: Path, cheetah: Family, cheetah_data: Dataset
) -> None:
    """Whatever the order in which a shell names them."""
    other = tmp_path / "task-0.hdf5"
    d4rl.write_task(cheetah, cheetah_data, 0, REFERENCES, other)
    assert d4rl.find_tasks(cheetah, [path, other], None) == {0: other, 1: path}
    assert d4rl.find_tasks(cheetah, [path, other], [1, 0]) == {0: other, 1: path}
    with pytest.raises(
        ConfigError, match=f"{path} says that it is of task 1, and --tasks that it is of task 0"
    ):
        d4rl.find_tasks(cheetah, [path, other], [0, 1])
    with pytest.raises(ConfigError, match="are all of task 1: one file for each task is needed"):
        d4rl.find_tasks(cheetah, [path, path], None)
    with pytest.raises(
        DataError, match=f"{path} says that it is data of cheetah-dir-v1, not of cheetah-vel-v1"
    ):
        d4rl.find_tasks(families.family("cheetah-vel"), [path], [1])


def test_files_that_do_not_say_their_task_need_it_said(path: Path, tmp_path: Path, cheetah: Family) -> None:
    silent = write_hdf5(tmp_path / "task-1.hdf5", loaded(path))
    for paths in ([silent], [path, silent]):
        with pytest.raises(ConfigError, match=f"{silent} does not say of which task it is. Say --tasks"):
            d4rl.find_tasks(cheetah, paths, None)
    assert d4rl.find_tasks(cheetah, [silent, path], [0, 1]) == {0: silent, 1: path}
    with h5py.File(silent, "r+") as file:
        file.attrs["task"] = "forward"  # of somebody else's tasks
    assert d4rl.find_tasks(cheetah, [silent], [0]) == {0: silent}


@pytest.mark.parametrize("name", ["timeouts", "next_observations"])
def test_groups_in_the_place_of_columns_are_one_message(
    path: Path, cheetah: Family, nothing_kept: Callable[[], None], name: str
) -> None:
    with h5py.File(path, "r+") as file:
        del file[name]
        file.create_group(name)
    with pytest.raises(DataError, match=f"{path}: {name} is not a column of numbers"):
        taken(cheetah, {1: path})
    nothing_kept()


def test_more_rows_than_memory_holds_are_one_message(
    path: Path, cheetah: Family, nothing_kept: Callable[[], None]
) -> None:
    """A file of some bytes can say that it has as many rows as it likes."""
    with h5py.File(path, "r+") as file:
        del file["observations"]
        file.create_dataset("observations", (10**11, cheetah.observation_size), "f4", chunks=(1000, 20))
    with pytest.raises(DataError, match="observations has 100,000,000,000 rows, and 10,000,000 are the most"):
        taken(cheetah, {1: path})
    nothing_kept()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda columns: columns.pop("terminals"), "has no terminals"),
        (
            lambda columns: [columns.pop(name) for name in ("timeouts", "next_observations")],
            "neither timeouts nor",
        ),
        (
            lambda columns: columns.update(observations=columns["observations"][:, :17]),
            "observations has the shape",
        ),
        (lambda columns: columns.update(rewards=columns["rewards"][:-1]), "rewards has the shape"),
        (lambda columns: columns.update(timeouts=columns["timeouts"] * 2), "other values than 0 and 1"),
        (lambda columns: columns["rewards"].__setitem__(5, np.nan), "the first is row 5"),
        (lambda columns: columns.update(actions=columns["actions"].astype("S4")), "not of numbers"),
    ],
)
def test_files_that_do_not_fit_are_one_message_and_leave_nothing(
    path: Path, tmp_path: Path, cheetah: Family, nothing_kept: Callable[[], None], change: Callable[..., Any],
    message: str,
) -> None:  # fmt: skip
    columns = loaded(path)
    change(columns)
    bad = write_hdf5(tmp_path / "bad.hdf5", columns)
    with pytest.raises(DataError, match=message) as caught:
        taken(cheetah, {0: path, 1: bad})
    assert str(bad) in str(caught.value)
    nothing_kept()


def test_a_file_of_single_steps_without_what_they_led_to_holds_nothing(
    path: Path, tmp_path: Path, cheetah: Family
) -> None:
    columns = loaded(path)
    del columns["next_observations"]
    columns["timeouts"][:] = True
    with pytest.raises(DataError, match="no episode has more than one step"):
        taken(cheetah, {1: write_hdf5(tmp_path / "bad.hdf5", columns)})


def test_truncated_files_are_one_message(
    path: Path, cheetah: Family, nothing_kept: Callable[[], None]
) -> None:
    content = path.read_bytes()
    for kept in (0, 0.5, 0.95):
        path.write_bytes(content[: int(kept * len(content))])
        with pytest.raises(DataError, match="cannot be read as HDF5"):
            taken(cheetah, {1: path})
        nothing_kept()


def test_export_overwrites_nothing_and_leaves_nothing_half_written(
    path: Path, tmp_path: Path, cheetah: Family, cheetah_data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = path.read_bytes()
    with pytest.raises(DataError, match="is there already"):
        d4rl.write_task(cheetah, cheetah_data, 1, REFERENCES, path)
    assert path.read_bytes() == before

    def full(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(h5py.File, "create_dataset", full)
    with pytest.raises(DataError, match="No space left"):
        d4rl.write_task(cheetah, cheetah_data, 1, REFERENCES, tmp_path / "full" / "a.hdf5")
    assert list((tmp_path / "full").iterdir()) == []
    with pytest.raises(DataError, match="cannot be written"):
        d4rl.write_task(cheetah, cheetah_data, 1, REFERENCES, path / "below.hdf5")


@pytest.mark.parametrize("size", [1_000, 20_000, 60_000])
def test_exporting_to_a_disk_that_is_full_is_one_message(
    path: Path, tmp_path: Path, cheetah: Family, cheetah_data: Dataset, size: int
) -> None:
    assert path.stat().st_size > size
    with full_disk(size), pytest.raises(DataError, match="cannot be written"):
        d4rl.write_task(cheetah, cheetah_data, 1, REFERENCES, tmp_path / "full" / "a.hdf5")
    assert list((tmp_path / "full").iterdir()) == []


def test_a_name_that_no_disk_takes_is_one_message(
    cheetah: Family, cheetah_data: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="cannot be a file"):
        d4rl.write_task(cheetah, cheetah_data, 1, REFERENCES, tmp_path / ("a" * 300))
