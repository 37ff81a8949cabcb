"""Sampling: true returns, consecutive rows, only the given tasks, all from one generator."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from benchmark.algorithm import TrainingData, Transitions
from benchmark.data import cache
from benchmark.data.dataset import Dataset
from benchmark.data.sampler import Sampler, transitions_of
from benchmark.errors import ConfigError
from tests.data.synthetic import nan_outside

DISCOUNT = 0.95
CPU = torch.device("cpu")


def _sampler(data: Dataset, tasks: list[int], seed: int = 0) -> Sampler:
    return Sampler(data, tasks, DISCOUNT, CPU, torch.Generator().manual_seed(seed))


def _naive(data: Dataset, row: int) -> dict[str, NDArray[np.float64]]:
    """One transition by the definitions of `Transitions`."""
    episode = int(np.flatnonzero(data.row_starts <= row)[-1]) if row else 0
    arrays = data.episode(episode)
    step, length = row - int(data.row_starts[episode]), int(data.lengths[episode])
    total, weight = 0.0, 1.0
    for later in range(step, length):
        total += weight * float(arrays["rewards"][later])
        weight *= DISCOUNT
    ended = bool(data.terminated[episode])
    values = {
        "observations": arrays["observations"][step],
        "actions": arrays["actions"][step],
        "rewards": arrays["rewards"][step],
        "next_observations": arrays["observations"][step + 1],
        "terminated": float(ended and step == length - 1),
        "returns": total,
        "final_observations": arrays["observations"][length],
        "final_discounts": 0.0 if ended else weight,
    }
    return {name: np.asarray(value, np.float64) for name, value in values.items()}


def _rows(data: Dataset, batch: Transitions) -> NDArray[np.int64]:
    """Row numbers (task, batch) of the transitions, found by their observations, which never repeat."""
    rows = np.arange(data.rows)
    seen = data.observations[rows + data.episode_of_rows(rows)]
    places = {observation.tobytes(): row for row, observation in enumerate(seen)}
    assert len(places) == data.rows
    return np.array([[places[one.tobytes()] for one in task] for task in batch.observations.numpy()])


def _check(data: Dataset, batch: Transitions) -> None:
    rows = _rows(data, batch)
    for task in range(rows.shape[0]):
        for place in range(rows.shape[1]):
            for name, value in _naive(data, int(rows[task, place])).items():
                found = getattr(batch, name)[task, place].double().numpy()
                np.testing.assert_allclose(found, value, rtol=1e-5, atol=1e-5, err_msg=name)


def test_a_sampler_fulfils_the_contract(falling_data: Dataset) -> None:
    sampler: TrainingData = _sampler(falling_data, [1, 0])
    batch = sampler.transitions(torch.tensor([0, 1]), 7)
    assert sampler.tasks == 2
    for name in Transitions.__dataclass_fields__:
        tensor = getattr(batch, name)
        assert tensor.dtype == torch.float32
        assert tensor.shape[:2] == (2, 7)
        tensor.view(14, -1)  # tasks and transitions merge without a copy


def test_transitions_are_what_their_definitions_say(falling_data: Dataset) -> None:
    assert falling_data.terminated.any()
    assert not falling_data.terminated.all()
    sampler = _sampler(falling_data, [0, 1])
    _check(falling_data, sampler.transitions(torch.tensor([1, 0]), 200))
    _check(falling_data, sampler.contiguous(torch.tensor([0]), 90))
    rows = falling_data.rows_of_task(1)[[5, 0, 250, 17]]
    batch = transitions_of(falling_data, 1, rows, DISCOUNT)
    assert _rows(falling_data, batch).tolist() == [rows.tolist()]
    _check(falling_data, batch)


def test_slots_are_tasks_in_the_order_given(falling_data: Dataset) -> None:
    sampler = _sampler(falling_data, [1, 0])
    rows = _rows(falling_data, sampler.transitions(torch.tensor([0, 0, 1]), 50))
    tasks = falling_data.tasks[falling_data.episode_of_rows(rows.reshape(-1))].reshape(3, 50)
    assert (tasks == [[1], [1], [0]]).all()


def test_all_rows_of_a_task_are_drawn_and_no_others(cheetah_data: Dataset) -> None:
    sampler = _sampler(cheetah_data, [1])
    rows = _rows(cheetah_data, sampler.transitions(torch.tensor([0]), 30_000))
    own = cheetah_data.rows_of_task(1)
    counts = np.bincount(rows[0] - own[0], minlength=len(own))
    assert len(counts) == len(own)
    assert counts.min() >= 1
    expected = 30_000 / len(own)
    assert np.square(counts - expected).sum() / expected < len(own) + 5 * np.sqrt(2 * len(own))


@pytest.mark.parametrize("part", ["all", "early", "middle", "late"])
def test_contiguous_rows_are_consecutive_and_of_that_part(falling_data: Dataset, part: str) -> None:
    sampler = _sampler(falling_data, [0, 1])
    firsts = set()
    for _ in range(60):
        rows = _rows(falling_data, sampler.contiguous(torch.tensor([1, 0]), 40, part))
        for slot, task in ((0, 1), (1, 0)):
            assert np.isin(rows[slot], falling_data.rows_of_task(task, part)).all()
            assert (np.diff(rows[slot]) == 1).all()
        firsts.add(int(rows[0, 0]))
    assert len(firsts) > 15


def test_the_first_and_the_last_place_are_reached(falling_data: Dataset) -> None:
    own = falling_data.rows_of_task(0, "middle")
    sampler = _sampler(falling_data, [0])
    tasks, size = torch.tensor([0]), len(own) - 2
    firsts = {int(_rows(falling_data, sampler.contiguous(tasks, size, "middle"))[0, 0]) for _ in range(60)}
    assert firsts == {int(own[0]), int(own[1]), int(own[2])}
    with pytest.raises(ConfigError, match="middle"):
        sampler.contiguous(tasks, len(own) + 1, "middle")


def test_other_tasks_are_never_touched(falling_data: Dataset) -> None:
    poisoned = nan_outside(falling_data, [1])
    sampler = _sampler(poisoned, [1])
    tasks = sampler.sample_tasks(1)
    for batch in (sampler.transitions(tasks, 3000), sampler.contiguous(tasks, 250)):
        for name in Transitions.__dataclass_fields__:
            assert torch.isfinite(getattr(batch, name)).all(), name


def test_the_generators_state_is_the_samplers_state(falling_data: Dataset) -> None:
    random = torch.Generator().manual_seed(3)
    sampler = Sampler(falling_data, [0, 1], DISCOUNT, CPU, random)

    def draw() -> list[torch.Tensor]:
        tasks = sampler.sample_tasks(2)
        batches = (sampler.transitions(tasks, 5), sampler.contiguous(tasks, 5, "late"))
        return [tasks, *(batch.actions for batch in batches)]

    draw()
    state = random.get_state()
    first = draw()
    assert not torch.equal(first[1], draw()[1])
    random.set_state(state)
    assert all(torch.equal(a, b) for a, b in zip(first, draw(), strict=True))


def test_tasks_are_drawn_without_repeats(falling_data: Dataset) -> None:
    sampler = _sampler(falling_data, [0, 1])
    draws = torch.stack([sampler.sample_tasks(5) for _ in range(50)])
    assert draws.dtype == torch.int64
    assert (draws.sort(dim=1).values == torch.tensor([0, 1])).all()
    assert 5 < int(draws[:, 0].sum()) < 45


def test_a_memory_mapped_data_set_gives_the_same_batches(falling_data: Dataset) -> None:
    cache.write(falling_data)
    mapped = cache.load(falling_data.id, falling_data.content_hash)
    from_disk, from_memory = (
        _sampler(data, [0, 1]).transitions(torch.tensor([0]), 9) for data in (mapped, falling_data)
    )
    for name in Transitions.__dataclass_fields__:
        assert torch.equal(getattr(from_disk, name), getattr(from_memory, name))
