"""The HDF5 file of a Minari data set, held against what Minari's own writer makes of the same episodes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import h5py
import numpy as np
import pytest
from minari.data_collector import EpisodeBuffer
from minari.dataset.minari_storage import MinariStorage

from benchmark.data import store
from benchmark.data.dataset import Dataset
from benchmark.data.episode_file import write_episodes
from benchmark.families.family import Family


def buffers(dataset: Dataset) -> Iterator[EpisodeBuffer]:
    """The episodes as Minari's writer takes them."""
    for number in range(dataset.episodes):
        arrays, task = dataset.episode(number), int(dataset.tasks[number])
        last = np.arange(dataset.lengths[number]) == dataset.lengths[number] - 1
        terminated = bool(dataset.terminated[number])
        yield EpisodeBuffer(
            options={"task": task},
            observations=arrays["observations"],
            actions=arrays["actions"],
            rewards=arrays["rewards"],
            terminations=last if terminated else np.zeros_like(last),
            truncations=np.zeros_like(last) if terminated else last,
            infos={"task": task, "snapshot": int(dataset.snapshots[number]), "log_prob": arrays["log_probs"]},
        )


def new_storage(folder: Path, family: Family) -> Any:
    """An empty Minari data set of the family's spaces."""
    folder.mkdir()
    spec = gymnasium.spec(family.id)
    environment = gymnasium.make(spec)
    return MinariStorage.new(
        folder, environment.observation_space, environment.action_space, env_spec=spec, data_format="hdf5"
    )


def contents(path: Path) -> dict[str, tuple[Any, ...]]:
    """Of every object in the file: type, shape, bytes and attributes."""
    found: dict[str, tuple[Any, ...]] = {}

    def note(name: str, item: h5py.Group | h5py.Dataset) -> None:
        attributes = {key: (value.dtype, value.shape, value.tobytes()) for key, value in item.attrs.items()}
        array = (
            (item.dtype, item.shape, np.asarray(item[()]).tobytes()) if isinstance(item, h5py.Dataset) else ()
        )
        found[name] = (*array, attributes)

    with h5py.File(path) as file:
        file.visititems(note)
    return found


@pytest.mark.parametrize("name", ["falling", "cheetah"])
def test_it_holds_what_minaris_own_writer_writes(
    request: pytest.FixtureRequest, tmp_path: Path, cheetah: Family, name: str
) -> None:
    dataset: Dataset = request.getfixturevalue(f"{name}_data")
    new_storage(tmp_path / "minari's", cheetah).update_episodes(buffers(dataset))
    write_episodes(tmp_path / "own", dataset)
    expected, found = contents(tmp_path / "minari's" / store.EPISODES), contents(tmp_path / "own")
    assert len(found) == dataset.episodes * 10  # two groups and eight arrays each
    assert found == expected


def test_minari_appends_to_it(cheetah: Family, falling_data: Dataset, tmp_path: Path) -> None:
    storage = new_storage(tmp_path / "data", cheetah)
    write_episodes(tmp_path / "data" / store.EPISODES, falling_data)
    storage.update_episodes([next(buffers(falling_data))])
    number = falling_data.episodes
    first, added = (next(iter(storage.get_episodes([which]))) for which in (0, number))
    assert np.array_equal(first["observations"], added["observations"])
    assert storage.metadata["total_episodes"] == number + 1


def test_short_episodes_take_few_bytes(falling_data: Dataset, tmp_path: Path) -> None:
    """Chunks would take more than 19,000 for each."""
    write_episodes(tmp_path / "own", falling_data)
    numbers = sum(column.nbytes for column in falling_data.columns.values())
    assert (tmp_path / "own").stat().st_size - numbers < store.BYTES_OF_AN_EPISODE * falling_data.episodes
    assert store.BYTES_OF_AN_EPISODE <= 5_000
