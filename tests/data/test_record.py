"""Recording: the same bits whatever the lanes and threads, true likelihoods, the promised composition."""

import math
import os
import subprocess
import sys
from concurrent.futures import Executor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file
from scipy.stats import norm

from benchmark import families
from benchmark.data import record as recording_module
from benchmark.data.behaviour import GRID, grid_actions, squashed_gaussian_log_probs, uniform_log_prob
from benchmark.data.dataset import Dataset
from benchmark.data.record import Job, Recording, episode_counts, record
from benchmark.data.shipped import is_in_a_file, is_shipped, shipped_behaviour
from benchmark.data.snapshots import UNIFORM, WEIGHTS, Snapshots, shipped_path
from benchmark.data.spool import Columns
from benchmark.errors import DataError, UnknownNameError
from benchmark.families.environment import TaskEnvironment
from benchmark.families.family import Family
from benchmark.files import PROJECT
from benchmark.randomness import numpy_stream
from tests.data.synthetic import random_snapshots


@pytest.mark.parametrize(("lanes", "threads"), [(1, 1), (3, 1), (7, 2), (5, 3), (1000, 2)])
def test_lanes_and_threads_do_not_reach_the_data(
    falling: Family, snapshots: Snapshots, falling_data: Dataset, lanes: int, threads: int
) -> None:
    recording = Recording(falling, snapshots, "mixed", 300)
    again = record(recording, falling_data.id, lanes=lanes, threads=threads)
    assert again.content_hash == falling_data.content_hash


def test_whole_episodes_do_not_depend_on_lanes_either(
    cheetah: Family, snapshots: Snapshots, cheetah_data: Dataset
) -> None:
    again = record(Recording(cheetah, snapshots, "mixed", 1600), cheetah_data.id, lanes=5, threads=2)
    assert again.content_hash == cheetah_data.content_hash


RECORD_ELSEWHERE = """
import sys
from pathlib import Path
from benchmark.data.record import Recording, record
from benchmark.data.snapshots import Snapshots
from tests.data.synthetic import FallingCheetah
snapshots = Snapshots.load(Path(sys.argv[1]))
print(record(Recording(FallingCheetah(), snapshots, "mixed", 300), "omrl/falling/mixed-v1").content_hash)
"""


@pytest.mark.parametrize("what", ["linear algebra", "numpy"])
def test_a_plainer_processor_records_the_same_bits(
    snapshots: Snapshots, falling_data: Dataset, tmp_path: Path, what: str
) -> None:
    """Libraries are told that the processor has none of the instructions they would choose here.

    The simulator's own sines, from the C library, do need a processor with AVX2 and FMA to round as they do here.
    """
    found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])  # type: ignore[index]
    variables = {
        "linear algebra": {"OPENBLAS_CORETYPE": "Nehalem"},
        "numpy": {"NPY_DISABLE_CPU_FEATURES": " ".join(found)},
    }[what]
    snapshots.save(tmp_path / "snapshots.safetensors")
    command = [sys.executable, "-c", RECORD_ELSEWHERE, str(tmp_path / "snapshots.safetensors")]
    run = subprocess.run(
        command, env={**os.environ, **variables}, cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == falling_data.content_hash


def test_a_task_recorded_alone_is_the_same(
    falling: Family, snapshots: Snapshots, falling_data: Dataset
) -> None:
    alone = record(Recording(falling, snapshots, "mixed", 300), falling_data.id, tasks=[1])
    rows = falling_data.rows_of_task(1)
    assert np.array_equal(alone.actions, falling_data.actions[rows])
    assert np.array_equal(alone.log_probs, falling_data.log_probs[rows])


def test_other_behaviour_gives_other_data(falling: Family, falling_data: Dataset) -> None:
    other = record(Recording(falling, random_snapshots(falling, seed=1), "mixed", 300), falling_data.id)
    assert other.content_hash != falling_data.content_hash


def test_actions_lie_on_the_grid_inside_the_open_interval(falling_data: Dataset) -> None:
    actions = falling_data.actions.astype(np.float64)
    assert np.array_equal(actions / GRID, np.round(actions / GRID))
    assert np.abs(actions).max() <= 1 - GRID
    assert grid_actions(np.array([-1.0, 1.0])).tolist() == [GRID - 1, 1 - GRID]


def _plain_log_prob(
    snapshots: Snapshots, task: int, number: int, observation: list[float], action: list[float]
) -> float:
    """The density from its definition, one number at a time."""
    w1, b1, w2, b2, w3, b3 = (
        snapshots.weights[n][task, number].astype(float) for n in ("w1", "b1", "w2", "b2", "w3", "b3")
    )
    layer = observation
    for weight, bias, rectify in ((w1, b1, True), (w2, b2, True), (w3, b3, False)):
        sums = [
            math.fsum(x * weight[i, j] for i, x in enumerate(layer)) + bias[0, j]
            for j in range(weight.shape[1])
        ]
        layer = [max(value, 0.0) for value in sums] if rectify else sums
    size, total = len(action), 0.0
    for k, a in enumerate(action):
        log_std = -1.5 + 3.5 * math.tanh(layer[size + k])
        z = (math.atanh(a) - layer[k]) / math.exp(log_std)
        total += -0.5 * z * z - log_std - 0.5 * math.log(2 * math.pi) - math.log(1 - a * a)
    return total


def test_log_probs_are_the_densities_of_the_stored_actions(
    snapshots: Snapshots, falling_data: Dataset
) -> None:
    episodes = falling_data.episode_of_rows(np.arange(falling_data.rows))
    checked = 0
    for row in range(0, falling_data.rows, 7):
        number = int(falling_data.snapshots[episodes[row]])
        found = float(falling_data.log_probs[row])
        if number == UNIFORM:
            assert found == pytest.approx(-6 * math.log(2), abs=GRID)
            continue
        observation = falling_data.observations[row + episodes[row]].astype(float).tolist()
        action = falling_data.actions[row].astype(float).tolist()
        task = int(falling_data.tasks[episodes[row]])
        expected = _plain_log_prob(snapshots, task, number, observation, action)
        assert found == pytest.approx(expected, abs=0.51 * GRID, rel=1e-6)
        checked += 1
    assert checked > 30


SHIPPED = [
    name for name in families.FAMILIES if is_in_a_file(one := families.family(name)) and is_shipped(one)
]
TOLD_APART = {"point-robot": (0, 11)}
"""Snapshots that one episode tells from all others, where they are not all: a point's neighbours act alike."""


def _shipped_log_probs(
    weights: dict[str, np.ndarray], task: int, number: int, observations: np.ndarray, actions: np.ndarray
) -> np.ndarray:
    """Log-densities (step,) from the numbers in the file and the policy's definition."""
    w1, b1, w2, b2, w3, b3 = (weights[name][task, number].astype(float) for name in WEIGHTS)
    layer = np.maximum(observations @ w1 + b1, 0)
    layer = np.maximum(layer @ w2 + b2, 0)
    mean, raw = np.split(layer @ w3 + b3, 2, axis=-1)
    before_tanh = norm.logpdf(np.arctanh(actions), mean, np.exp(-1.5 + 3.5 * np.tanh(raw)))
    return (before_tanh - np.log(1 - actions**2)).sum(-1)


@pytest.mark.parametrize("name", SHIPPED)
def test_snapshots_and_log_probs_are_those_of_the_shipped_policies(name: str) -> None:
    """Of every snapshot of a task one episode; it is likelier than any other snapshot would make it."""
    family, weights = families.family(name), load_file(shipped_path(name))
    numbers, task = range(weights["w1"].shape[1]), family.tasks - 1
    recording = Recording(family, shipped_behaviour(family), "mixed", 1)
    data = record(recording, f"omrl/{name}/mixed-v1", tasks=[task], threads=1)
    assert data.snapshots.tolist() == [UNIFORM, *numbers]
    for number in numbers:
        episode = data.episode(1 + number)
        seen, actions = episode["observations"][:-1].astype(float), episode["actions"].astype(float)
        found = [_shipped_log_probs(weights, task, each, seen, actions) for each in numbers]
        np.testing.assert_allclose(episode["log_probs"], found[number], rtol=0, atol=0.51 * GRID)
        if number in TOLD_APART.get(name, numbers):
            assert np.argmax([each.sum() for each in found]) == number


def test_actions_are_drawn_from_the_snapshots_policies(snapshots: Snapshots, cheetah_data: Dataset) -> None:
    """Their noise, taken back out of them, is standard normal, unlike in the next step, and is not repeated."""
    episodes = np.flatnonzero(cheetah_data.snapshots != UNIFORM)
    tasks, numbers = (column[episodes].astype(int) for column in (cheetah_data.tasks, cheetah_data.snapshots))
    seen = np.stack([cheetah_data.episode(number)["observations"][:-1] for number in episodes])
    mean, std = snapshots.policy(tasks, numbers).distribution(seen)
    actions = np.stack([cheetah_data.episode(number)["actions"] for number in episodes]).astype(float)
    noise = (np.arctanh(actions) - mean) / std
    slope = 1 - np.square(np.tanh(np.abs(mean) + 4 * std))
    inside = 0.2 * std * slope > GRID  # elsewhere the grid is too coarse to see the noise through it
    assert inside.sum() > 2000
    spread = 5 / math.sqrt(inside.sum())
    assert abs(noise[inside].mean()) < spread
    assert noise[inside].var() == pytest.approx(1, abs=1.5 * spread)
    later = inside[:, 1:] & inside[:, :-1]
    assert abs((noise[:, 1:] * noise[:, :-1])[later].mean()) < 1.5 * spread


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (0.8, 0.3), (-1.5, 1.0), (2.0, 0.1)])
def test_the_density_integrates_to_one(mean: float, std: float) -> None:
    edges = np.tanh(np.linspace(mean - 9 * std, mean + 9 * std, 20_001))
    middle = (edges[1:] + edges[:-1]) / 2
    density = np.exp(squashed_gaussian_log_probs(middle[:, None], np.full(1, mean), np.full(1, std)))
    assert float((density * np.diff(edges)).sum()) == pytest.approx(1, abs=1e-4)
    assert math.exp(uniform_log_prob(3)) * 2**3 == pytest.approx(1)


def test_mixed_is_the_whole_life_in_order_of_age(
    cheetah: Family, snapshots: Snapshots, cheetah_data: Dataset
) -> None:
    for task in range(cheetah.tasks):
        episodes = cheetah_data.episodes_of_task(task)
        numbers = cheetah_data.snapshots[episodes.start : episodes.stop]
        assert (np.diff(numbers) >= 0).all()
        assert len(cheetah_data.rows_of_task(task)) == 1600
        for number, share in snapshots.life_shares.items():
            count = int((numbers == number).sum())
            assert count >= 1
            assert abs(count * 200 - share * 1600) <= 200


def test_the_other_tiers_are_one_behaviour_each(falling: Family, snapshots: Snapshots) -> None:
    expected = {"random": [-1, -1], "medium": [1, 0], "expert": [2, 2]}
    for tier, numbers in expected.items():
        data = record(Recording(falling, snapshots, tier, 100, medium=[1, 0]), "x")
        for task, number in enumerate(numbers):
            assert set(data.snapshots[data.tasks == task].tolist()) == {number}
    actions = record(Recording(falling, snapshots, "random", 400), "x").actions
    assert abs(float(actions.mean())) < 0.05
    assert float(actions.std()) == pytest.approx(1 / math.sqrt(3), abs=0.02)


def test_a_larger_data_set_holds_the_smaller_ones_episodes(falling: Family, snapshots: Snapshots) -> None:
    small, large = (
        record(Recording(falling, snapshots, "expert", size), "x", tasks=[0]) for size in (60, 200)
    )
    assert np.array_equal(large.actions[: small.rows], small.actions)


def test_episodes_end_where_the_family_says(falling: Family, falling_data: Dataset) -> None:
    data = falling_data
    assert data.terminated.any()
    assert len(set(data.lengths.tolist())) > 3
    for number in range(data.episodes):
        pitch = data.episode(number)["observations"][:, 1]
        over = np.abs(pitch[1:]) > 0.25
        assert not over[:-1].any()
        assert bool(over[-1]) == bool(data.terminated[number])
        assert data.terminated[number] or data.lengths[number] == falling.horizon
    for task in range(2):
        assert abs(len(data.rows_of_task(task)) - 300) <= falling.horizon


def test_no_two_episodes_are_alike(cheetah_data: Dataset) -> None:
    starts = [cheetah_data.episode(number)["observations"][0] for number in range(cheetah_data.episodes)]
    assert len({start.tobytes() for start in starts}) == cheetah_data.episodes
    first_actions = [cheetah_data.episode(number)["actions"][0] for number in range(cheetah_data.episodes)]
    assert len({action.tobytes() for action in first_actions}) == cheetah_data.episodes


def test_an_episode_replays_in_the_gymnasium_environment(cheetah: Family, cheetah_data: Dataset) -> None:
    number = cheetah_data.episodes_of_task(1)[-1]
    snapshot = int(cheetah_data.snapshots[number])
    earlier = cheetah_data.snapshots[cheetah_data.episodes_of_task(1).start : number]
    stream = numpy_stream(0, "record", cheetah.id, "mixed", 1, snapshot, int((earlier == snapshot).sum()))
    environment = TaskEnvironment("cheetah-dir", task=1)
    environment.reset(seed=0)
    episode = cheetah_data.episode(number)
    assert np.array_equal(environment.set_state(*cheetah.reset(stream)), episode["observations"][0])
    for step, action in enumerate(episode["actions"]):
        observation, reward, *_ = environment.step(action)
        assert np.array_equal(observation, episode["observations"][step + 1])
        assert np.float32(reward) == episode["rewards"][step]


@given(
    sizes=st.lists(st.floats(0.01, 1.0), min_size=1, max_size=13),
    episodes=st.integers(20, 300),
    horizon=st.integers(1, 250),
)
def test_whole_episodes_reach_the_size_exactly(sizes: list[float], episodes: int, horizon: int) -> None:
    shares = {number: size / sum(sizes) for number, size in enumerate(sizes)}
    counts = episode_counts(shares, episodes * horizon, horizon, {})
    assert min(counts.values()) >= 1
    forced = sum(share * episodes < 1 for share in shares.values())
    assert 0 <= sum(counts.values()) - episodes <= forced
    if not forced:
        assert all(abs(counts[k] - share * episodes) <= 1 + 1e-9 for k, share in shares.items())


@given(lengths=st.lists(st.integers(1, 30), min_size=60, max_size=60), share=st.floats(0.1, 0.9))
def test_episodes_of_any_length_come_nearest_to_the_size(lengths: list[int], share: float) -> None:
    known = {0: lengths[:30], 1: lengths[30:]}
    counts = episode_counts({0: share, 1: 1 - share}, 100, 30, known)
    if counts[0] <= 30 and counts[1] <= 30:
        total = sum(known[0][: counts[0]]) + sum(known[1][: counts[1]])
        assert 100 - 15 <= total <= 100 + 45


WALKERS = {
    "mixed": "ed7e564aac673c21a7febe10efced0dad92f345c222daa81594ba2784384a78a",
    "random": "d2885818807040554b45deb0793d4890f7c7617bb9ccb6a08e56b71bfc8e7973",
}
"""Content hashes of 3,000 transitions of tasks 0 and 7, by the first version that recorded them."""


@pytest.mark.parametrize("tier", WALKERS)
def test_episodes_that_end_early_are_the_same_as_ever(tier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And they are found in a few waves, though random walkers fall after a tenth of the horizon."""
    waves: list[int] = []

    def counted(pool: Executor, recording: Recording, pieces: list[list[Job]]) -> list[Columns]:
        waves.append(sum(map(len, pieces)))
        return simulated(pool, recording, pieces)

    simulated = recording_module._simulated
    monkeypatch.setattr(recording_module, "_simulated", counted)
    walker = families.family("walker-params")
    found = record(Recording(walker, shipped_behaviour(walker), tier, 3000), "x", tasks=[0, 7], threads=2)
    assert found.content_hash == WALKERS[tier]
    assert len(waves) <= 5
    assert sum(waves) <= 1.25 * found.episodes


@given(seed=st.integers(0, 1000), horizon=st.integers(2, 40), transitions=st.integers(50, 2000))
def test_waves_end_with_what_is_counted_if_all_lengths_are_known(
    seed: int, horizon: int, transitions: int
) -> None:
    """Whatever the first episodes' lengths made one guess."""
    random, shares = np.random.default_rng(seed), {0: 0.5, 1: 0.2, 2: 0.3}
    lengths = {number: random.integers(1, horizon + 1, transitions + 100).tolist() for number in shares}
    known: dict[int, list[int]] = {number: [] for number in shares}
    for _ in range(100):
        counts = episode_counts(shares, transitions, horizon, known)
        if all(count <= len(known[number]) for number, count in counts.items()):
            break
        known = {number: lengths[number][: max(counts[number], len(known[number]))] for number in shares}
    assert counts == episode_counts(shares, transitions, horizon, lengths)


def test_behaviour_of_another_family_is_refused(falling: Family) -> None:
    with pytest.raises(DataError, match="cheetah-vel-v1.*cheetah-dir-v1"):
        Recording(
            falling, Snapshots("cheetah-vel-v1", (1,), 1, random_snapshots(falling, 1).weights), "mixed", 100
        )
    with pytest.raises(UnknownNameError, match="Did you mean 'mixed'"):
        Recording(falling, random_snapshots(falling), "mixd", 100)
