"""The flat layout and its hash."""

from dataclasses import replace

import numpy as np
import pytest

from benchmark import families
from benchmark.data.dataset import COLUMNS, Dataset, check_consistent, dataset_id
from benchmark.errors import DataError, UnknownNameError


def test_identities_name_family_tier_size_and_version() -> None:
    velocity = families.family("cheetah-vel")
    assert dataset_id(velocity, "mixed") == "omrl/cheetah-vel/mixed-v1"
    assert dataset_id(velocity, "random", "full") == "omrl/cheetah-vel/random-full-v1"
    with pytest.raises(UnknownNameError, match="tier 'exprt'.*Did you mean 'expert'"):
        dataset_id(velocity, "exprt")
    with pytest.raises(UnknownNameError, match="size 'ful'.*Did you mean 'full'"):
        dataset_id(velocity, "mixed", "ful")


@pytest.mark.parametrize("name", COLUMNS)
def test_the_hash_notices_one_changed_value_in_any_column(falling_data: Dataset, name: str) -> None:
    changed = getattr(falling_data, name).copy()
    changed.reshape(-1).view(np.uint8)[-1] ^= 1
    assert replace(falling_data, **{name: changed}).content_hash != falling_data.content_hash


def test_the_hash_notices_shapes_and_not_memory_order(falling_data: Dataset) -> None:
    turned = replace(falling_data, actions=falling_data.actions.reshape(-1, 3))
    assert turned.content_hash != falling_data.content_hash
    other_order = replace(falling_data, observations=np.asfortranarray(falling_data.observations))
    assert other_order.content_hash == falling_data.content_hash


def test_parts_of_a_life_are_thirds_in_order(falling_data: Dataset) -> None:
    parts = [falling_data.rows_of_task(1, part) for part in ("early", "middle", "late")]
    assert np.array_equal(np.concatenate(parts), falling_data.rows_of_task(1))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    ages = falling_data.snapshots[falling_data.episode_of_rows(parts[0])]
    assert ages.max() <= falling_data.snapshots[falling_data.episode_of_rows(parts[2])].min()
    with pytest.raises(UnknownNameError, match="Did you mean 'early'"):
        falling_data.rows_of_task(1, "earl")


def test_a_task_there_is_not_is_an_error(falling_data: Dataset) -> None:
    with pytest.raises(DataError, match="no episodes of task 2"):
        falling_data.rows_of_task(2)


def test_episodes_are_views_that_join_up_to_the_whole(falling_data: Dataset) -> None:
    parts = [falling_data.episode(number) for number in range(falling_data.episodes)]
    assert np.array_equal(np.concatenate([part["observations"] for part in parts]), falling_data.observations)
    assert np.array_equal(np.concatenate([part["rewards"] for part in parts]), falling_data.rewards)
    returns = [part["rewards"].astype(float).sum() for part in parts]
    assert np.allclose(falling_data.episode_returns(), returns)


def test_episodes_that_do_not_fit_together_are_noticed(falling_data: Dataset) -> None:
    with pytest.raises(ValueError, match="rewards"):
        check_consistent(replace(falling_data, rewards=falling_data.rewards[1:]))
    with pytest.raises(ValueError, match="task order"):
        check_consistent(replace(falling_data, tasks=falling_data.tasks[::-1].copy()))
