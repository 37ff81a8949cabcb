"""Tasks and splits are the published ones; nothing is tuned on test tasks."""

import numpy as np
import pytest

from benchmark import families
from benchmark.errors import UnknownNameError


def test_tasks_are_the_published_ones() -> None:
    np.testing.assert_array_equal(families.family("cheetah-dir").parameters, [1, -1])
    np.testing.assert_allclose(families.family("cheetah-vel").parameters, np.linspace(0.075, 3.0, 40))


def test_standard_splits() -> None:
    velocity = families.family("cheetah-vel").split("standard")
    assert velocity.test == (2, 7, 15, 23, 26)
    assert sorted(velocity.train + velocity.test) == list(range(40))
    direction = families.family("cheetah-dir").split("standard")
    assert direction.train == direction.test == (0, 1)


@pytest.mark.parametrize(("name", "train"), [("half", 20), ("quarter", 10), ("eighth", 5), ("sixteenth", 3)])
def test_sparsity_splits_test_on_all_other_tasks(name: str, train: int) -> None:
    split = families.family("cheetah-vel").split(name)
    assert len(split.train) == train
    assert sorted(split.train + split.test) == list(range(40))


def test_extrapolation_split() -> None:
    split = families.family("cheetah-vel").split("extrapolation")
    assert (split.train, split.test) == (tuple(range(26)), tuple(range(26, 40)))


def test_tuning_split_is_taken_out_of_the_standard_train_tasks() -> None:
    family = families.family("cheetah-vel")
    tuning, standard = family.split("tuning"), family.split("standard")
    assert set(tuning.train) | set(tuning.test) == set(standard.train)
    assert not set(tuning.test) & set(standard.test)
    assert not set(tuning.test) & set(tuning.train)


def test_unknown_family_and_split_get_a_hint() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'cheetah-vel'"):
        families.family("cheeta-vel")
    with pytest.raises(UnknownNameError, match="Did you mean 'standard'"):
        families.family("cheetah-vel").split("standart")


def test_family_is_found_by_its_identity_too() -> None:
    assert families.family("cheetah-vel-v1") is families.family("cheetah-vel")
