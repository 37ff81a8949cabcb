"""Tasks and splits are the published ones; nothing is tuned on test tasks."""

import hashlib
import json

import numpy as np
import pytest

from benchmark import families
from benchmark.errors import UnknownNameError
from benchmark.families.family import Family
from benchmark.families.turning import headings, unit
from benchmark.rollouts import initial_states


def test_tasks_are_the_published_ones() -> None:
    np.testing.assert_array_equal(families.family("cheetah-dir").parameters, [1, -1])
    np.testing.assert_allclose(families.family("cheetah-vel").parameters, np.linspace(0.075, 3.0, 40))


TASKS_SHA256 = {
    "cheetah-dir-v1": "c45b73a828d7a0b0ba8ef208e8dc608e1d8f4a5346d46b4f9cb70407f309c22d",
    "cheetah-vel-v1": "7996f9ba44e71767298ef9581cc26d00454bff456130716d39d73138dec1340b",
    "ant-dir-v1": "9c3db0413b294ee065d989be8b8fc85cee14afeb3a8dfbdbeada595ab151eb71",
    "walker-params-v1": "53064b15cd282407f6717cdaa7c541ed3a60ed7ff89e1fef380707a66ae1e3a1",
    "ml45-v1": "0a02c3d0d88264b310e8581fab054939075bfaac1cb8f09cea7a727cd0942c08",
    "point-robot-v1": "21999eb30dee527848425855eeba5129642eaf94669d822f180f937e42dd460c",
    "ant-goal-v1": "22839ae8f625d69141d6ba20a246e91a52e467643c7aaa760aa9424ecc929e53",
    "humanoid-dir-v1": "b9c5924e13b62ae3c96c2b723c803f3aff3471e83b3dc4e8624deb2be2a2b0ca",
    "hopper-params-v1": "1ef0a2b633d1fa916d38c8da8789a2202f1ffeafbea1647ffdecf85ac7823420",
}
"""By identity, see `tasks_sha256`."""


def tasks_sha256(family: Family) -> str:
    """SHA-256 of the shape and the numbers of all parameters, with 12 digits, and of all splits.

    The last bits of the cosines among the parameters depend on the processor.
    """
    content = {
        "shape": family.parameters.shape,
        "parameters": [f"{value:.12g}" for value in family.parameters.ravel()],
        "splits": {name: [split.train, split.test] for name, split in family.splits.items()},
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def test_every_family_has_its_tasks_pinned() -> None:
    assert set(TASKS_SHA256) == {families.family(name).id for name in families.FAMILIES}


@pytest.mark.parametrize("name", families.FAMILIES)
def test_tasks_and_splits_of_a_version_never_change(name: str) -> None:
    family = families.family(name)
    assert tasks_sha256(family) == TASKS_SHA256[family.id], (
        f"parameters or splits of {family.id} are not those of its data and results. Restore them, or, if they are "
        "meant to be others, give the family a new version and pin that one's hash here."
    )


INITIAL_SHA256 = {
    "cheetah-dir-v1": "045e426abdee4057",
    "cheetah-vel-v1": "e6a238227d0e058c",
    "ant-dir-v1": "f852497a4d3b6c9e",
    "walker-params-v1": "f2bbddd477974be7",
    "ml45-v1": "16364afee8011716",
    "point-robot-v1": "f0caee305d523474",
    "ant-goal-v1": "99c4fd62968744ca",
    "humanoid-dir-v1": "ff8b919e9d4ea566",
    "hopper-params-v1": "a452fc08522962db",
}
"""The first digits, by identity, of 200 initial states: a last bit that differs there is soon another episode."""


@pytest.mark.parametrize("name", families.FAMILIES)
def test_initial_states_are_the_same_bit_for_bit_on_every_machine(name: str) -> None:
    family = families.family(name)
    qpos, qvel = initial_states(family, 1, 200)
    assert hashlib.sha256(qpos.tobytes() + qvel.tobytes()).hexdigest()[:16] == INITIAL_SHA256[family.id]


def test_quaternions_and_headings_have_length_one() -> None:
    random = np.random.default_rng(0)
    for quaternion in random.normal(size=(100, 4)):
        turned = unit(quaternion)
        assert abs(np.linalg.norm(turned) - 1) < 1e-15
        np.testing.assert_allclose(turned * np.linalg.norm(quaternion), quaternion, rtol=1e-14)
    angles = random.uniform(-4, 4, (3, 5))
    np.testing.assert_allclose(headings(angles), np.stack([np.cos(angles), np.sin(angles)], -1), rtol=1e-14)


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


OUTSIDE = {
    "cheetah-vel": lambda parameters: parameters,
    "point-robot": lambda parameters: np.arctan2(parameters[:, 1], parameters[:, 0]),
    "ant-goal": lambda parameters: np.linalg.norm(parameters, axis=1),
    "humanoid-dir": lambda parameters: parameters,
    "hopper-params": lambda parameters: parameters[:, 0],
}
"""What a family extrapolates in."""


@pytest.mark.parametrize("name", OUTSIDE)
def test_extrapolation_lies_outside_the_range_of_the_train_tasks(name: str) -> None:
    family = families.family(name)
    split, values = family.split("extrapolation"), OUTSIDE[name](family.parameters)
    trained = values[list(split.train)]
    assert all(not trained.min() <= values[task] <= trained.max() for task in split.test)
    assert sorted(split.train + split.test) == list(range(family.tasks))


@pytest.mark.parametrize(("name", "circle"), [("cheetah-vel", None), ("ant-dir", 2 * np.pi)])
def test_interpolation_lies_between_train_tasks(name: str, circle: float | None) -> None:
    family = families.family(name)
    split = family.split("interpolation")
    order = [int(task) for task in np.argsort(family.parameters % circle if circle else family.parameters)]
    for task in split.test:
        place = order.index(task)
        assert circle or 0 < place < family.tasks - 1
        assert order[place - 1] in split.train
        assert order[(place + 1) % family.tasks] in split.train


@pytest.mark.parametrize("name", families.FAMILIES)
def test_every_family_has_its_splits(name: str) -> None:
    family = families.family(name)
    assert set(family.splits) >= {"standard", "tuning"}
    for split in family.splits.values():
        assert list(split.train) == sorted(set(split.train))
        assert list(split.test) == sorted(set(split.test))
        assert set(split.train) | set(split.test) <= set(range(family.tasks))
        if name != "cheetah-dir":
            assert not set(split.train) & set(split.test)


@pytest.mark.parametrize("name", [name for name in families.FAMILIES if name != "cheetah-dir"])
def test_tuning_split_is_taken_out_of_the_standard_train_tasks(name: str) -> None:
    family = families.family(name)
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
