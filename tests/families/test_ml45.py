"""ml45 is Meta-World's ML45: its classes, goals, observations, rewards and success, seen by a stranger."""

import hashlib
import pickle
from collections.abc import Sequence
from importlib import metadata
from types import SimpleNamespace
from typing import Any

import gymnasium
import metaworld
import mujoco
import numpy as np
import pytest
from metaworld import env_dict
from metaworld.sawyer_xyz_env import SawyerXYZEnv
from metaworld.types import Task

from benchmark import families
from benchmark.errors import RunError, SimulatorVersionError, UnknownNameError
from benchmark.families import ml45
from benchmark.families.metaworld_arena import PLACES, Arena, Model, _touching, acting_quietly
from benchmark.families.metaworld_environment import MetaWorldEnvironment
from benchmark.families.metaworld_simulation import MetaWorldSimulation, RemoteCrew
from benchmark.families.ml45 import CLASSES, GOALS, MetaWorld45, goal_vectors
from benchmark.rollouts import initial_states
from benchmark.run_config import RunConfig

FAMILY = families.family("ml45")
assert isinstance(FAMILY, MetaWorld45)
KINDS = {**env_dict.ML45_V3["train"], **env_dict.ML45_V3["test"]}


def strangers_environment(task: int, goal: int) -> SawyerXYZEnv:
    """Meta-World used as its own documentation says, at the start of an episode."""
    kind = KINDS[CLASSES[task]]
    environment = kind()
    content = {"rand_vec": goal_vectors()[CLASSES[task]][goal], "env_cls": kind, "partially_observable": True}
    environment.set_task(Task(CLASSES[task], pickle.dumps(content)))
    return environment


def make(task: int) -> MetaWorldEnvironment:
    environment = gymnasium.make("ml45-v1", task=task).unwrapped
    assert isinstance(environment, MetaWorldEnvironment)
    return environment


def actions(steps: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (steps, 4)).astype(np.float32)


def test_the_classes_are_those_of_ml45_in_its_order() -> None:
    assert list(ml45.TRAIN) == list(env_dict.ML45_V3["train"])
    assert list(ml45.TEST) == list(env_dict.ML45_V3["test"])
    split = FAMILY.split("standard")
    assert (split.train, split.test) == (tuple(range(45)), tuple(range(45, 50)))
    assert [FAMILY.task_text(task) for task in split.test] == [
        "bin-picking", "box-close", "hand-insert", "door-lock", "door-unlock",
    ]  # fmt: skip


def test_the_goals_are_frozen() -> None:
    """One hash over all of them, of numbers and not of a file."""
    digest = hashlib.sha256()
    for name in CLASSES:
        vectors = goal_vectors()[name]
        assert vectors.shape in ((GOALS, 3), (GOALS, 6))
        assert len(np.unique(vectors, axis=0)) == GOALS
        digest.update(np.ascontiguousarray(vectors, "<f8").tobytes())
    assert digest.hexdigest() == "bdb3be8210904af29e26b0d0e1c8af4ca44dd1e1f23f3b7ad4c96342e0b54f71"


@pytest.mark.parametrize("part", ["train", "test"])
def test_the_goals_are_drawn_as_ml45_draws_them(part: str) -> None:
    """Train and test classes are drawn from the same seed, one class after another.

    So of the train classes the first can be drawn without the others; drawing all takes half a minute.
    """
    names = {"train": list(ml45.TRAIN)[:3], "test": list(ml45.TEST)}[part]
    kinds = {name: KINDS[name] for name in names}
    arguments = {name: env_dict.ML45_ARGS_KWARGS[part][name] for name in names}
    override = {"partially_observable": True}
    drawn: dict[str, list[Any]] = {name: [] for name in names}
    for task in metaworld._make_tasks(kinds, arguments, override, seed=ml45.GOAL_SEED):
        drawn[task.env_name].append(pickle.loads(task.data)["rand_vec"])
    for name in names:
        np.testing.assert_array_equal(goal_vectors()[name], drawn[name])


@pytest.mark.parametrize("task", range(50), ids=CLASSES)
def test_a_stranger_with_metaworld_alone_sees_the_same(task: int) -> None:
    """Observation, reward and success of every class, bit for bit; nothing terminates, and the goal is hidden."""
    goal = (7 * task) % GOALS
    own, theirs = make(task), strangers_environment(task, goal)
    seen, _ = own.reset(options={"goal": goal})
    expected, _ = theirs.reset()
    np.testing.assert_array_equal(seen, expected.astype(np.float32))
    for action in actions(25, task):
        observation, reward, terminated, truncated, info = own.step(action)
        expected, expected_reward, *_, expected_info = theirs.step(action.astype(np.float64))
        np.testing.assert_array_equal(observation, expected.astype(np.float32))
        assert reward == float(expected_reward)
        assert info["success"] == bool(expected_info["success"])
        assert not (terminated or truncated)
        assert not observation[36:].any()


def test_touching_is_metaworlds_own() -> None:
    """All along an expert's episode in which it grasps an object, for every geometry."""
    task = CLASSES.index("pick-place-v3")
    arena, act = Arena(Model(CLASSES[task])), FAMILY.script(task)
    environment = arena._environment
    seen = arena.start(FAMILY.goal_vector(task, 0)).astype(np.float64)
    found = set()
    with acting_quietly():
        for _ in range(120):
            seen[-3:] = arena.target
            seen = arena.step(np.clip(act(seen), -1, 1))[0].astype(np.float64)
            for thing in range(environment.model.ngeom):
                expected = SawyerXYZEnv.touching_object(environment, thing)
                assert environment.touching_object(thing) == expected
                found.add(bool(expected))
    assert found == {False, True}


@pytest.mark.parametrize(
    ("pairs", "forces", "touching"),
    [
        ([(1, 9), (9, 2)], [1.0, 1.0], True),
        ([(9, 1), (2, 9)], [1.0, 1.0], True),
        ([(9, 1), (2, 8)], [1.0, 1.0], False),  # the right pad touches another thing
        ([(1, 2), (9, 8)], [1.0, 1.0], False),
        ([(1, 9), (9, 2)], [1.0, 0.0], False),  # it touches without pressing
        ([], [], False),
    ],
)
def test_a_thing_is_touched_where_both_pads_press_on_it(
    pairs: list[tuple[int, int]], forces: list[float], touching: bool
) -> None:
    """Pads are 1 and 2, the thing is 9; which of a contact's two comes first says nothing."""
    geom = np.array(pairs, np.int32).reshape(-1, 2)
    contact = SimpleNamespace(geom=geom, efc_address=np.arange(len(pairs)))
    pads = {"leftpad_geom": SimpleNamespace(id=1), "rightpad_geom": SimpleNamespace(id=2)}
    data = SimpleNamespace(contact=contact, efc_force=np.array(forces), geom=pads.get)
    assert _touching(data, 9) is touching  # type: ignore[arg-type]


def openness(data: mujoco.MjData) -> float:
    """Distance of the fingers as a share of a tenth of a metre."""
    gap = float(np.linalg.norm(data.body("rightclaw").xpos - data.body("leftclaw").xpos))
    return min(max(gap / 0.1, 0.0), 1.0)


def test_observation_and_reward_of_reaching_from_mujocos_data() -> None:
    """By hand: the hand, how far it is open, the object, the same one step earlier; reward falls with distance."""
    environment = make(CLASSES.index("reach-v3"))
    observation, _ = environment.reset(options={"goal": 3})
    hidden = environment._arena._environment
    target = goal_vectors()["reach-v3"][3][3:]
    margin = float(np.linalg.norm(np.array([0.0, 0.6, 0.2]) - target))
    for action in actions(60):
        before = observation
        observation, reward, *_, info = environment.step(action)
        data = hidden.data
        hand = data.body("hand").xpos
        fingers = (data.site("rightEndEffector").xpos + data.site("leftEndEffector").xpos) / 2
        np.testing.assert_allclose(observation[:3], hand, atol=1e-6)
        assert observation[3] == pytest.approx(openness(data), abs=1e-6)
        np.testing.assert_allclose(observation[4:7], data.body("obj").xpos, atol=1e-6)
        np.testing.assert_array_equal(observation[18:36], before[:18])
        distance = float(np.linalg.norm(fingers - target))
        beyond = max(distance - 0.05, 0.0) / margin
        assert reward == pytest.approx(10 / (9 * beyond**2 + 1), abs=1e-9)
        assert info["success"] == (distance <= 0.05)


TASKS = [0, 45, 45, 49, 17]
STARTS = np.array([[0.0], [1.0], [2.0], [3.0], [4.0]])
NONE = np.zeros((5, 0))


def trajectory(
    tasks: Sequence[int], starts: np.ndarray, inputs: np.ndarray, threads: int
) -> list[np.ndarray]:
    """Everything that a simulation gives, (lane, ...) per step."""
    with FAMILY.simulation(tasks, threads) as simulation:
        found = [simulation.reset(starts, np.zeros((len(tasks), 0))), simulation.hidden]
        for step_actions in inputs:
            step = simulation.step(step_actions)
            assert step.successes is not None
            found += [step.observations, step.rewards, step.terminated, step.successes]
    return found


def test_lanes_and_processes_do_not_reach_a_trajectory() -> None:
    inputs = np.random.default_rng(1).uniform(-1, 1, (20, 5, 4))
    whole = trajectory(TASKS, STARTS, inputs, 0)
    for one, other in zip(whole, trajectory(TASKS, STARTS, inputs, 2), strict=True):
        np.testing.assert_array_equal(one, other)
    for lane in (1, 4):
        alone = trajectory([TASKS[lane]], STARTS[lane : lane + 1], inputs[:, lane : lane + 1], 0)
        for one, other in zip(whole, alone, strict=True):
            np.testing.assert_array_equal(one[lane], other[0])


@pytest.mark.parametrize("threads", [0, 2])
def test_dropping_and_restarting_lanes_leaves_the_others_alone(threads: int) -> None:
    inputs = np.random.default_rng(2).uniform(-1, 1, (2, 5, 4))
    whole = trajectory(TASKS, STARTS, inputs, 0)[6:8]
    kept = np.array([4, 0, 1])
    with FAMILY.simulation(TASKS, threads) as simulation:
        simulation.reset(STARTS, NONE)
        simulation.step(inputs[0])
        simulation.keep(kept)
        assert simulation.lanes == 3
        seen = simulation.restart(np.array([1]), np.array([[9.0]]), NONE[:1])
        step = simulation.step(inputs[1][kept])
    np.testing.assert_array_equal(step.observations[[0, 2]], whole[0][[4, 1]])
    np.testing.assert_array_equal(step.rewards[[0, 2]], whole[1][[4, 1]])
    again, _ = make(0).reset(options={"goal": 9})
    np.testing.assert_array_equal(seen[1], again)


@pytest.mark.parametrize("task", [0, 2, 10, 31, 40, 46], ids=lambda task: CLASSES[task])
def test_an_episode_leaves_no_trace_in_the_next(task: int) -> None:
    """Arenas are used again, and all of a class share a model."""
    model = Model(CLASSES[task])
    used, other = Arena(model), Arena(model)
    vectors = goal_vectors()[CLASSES[task]]
    used.start(vectors[1])
    for action in actions(100, 1):
        used.step(action)
    other.start(vectors[2])
    fresh = Arena(Model(CLASSES[task]))
    np.testing.assert_array_equal(used.start(vectors[3]), fresh.start(vectors[3]))
    for action in actions(20, 2):
        other.step(-action)
        observation, reward, success = used.step(action)
        expected, expected_reward, expected_success = fresh.step(action)
        np.testing.assert_array_equal(observation, expected)
        assert (reward, success) == (expected_reward, expected_success)


def test_resets_and_steps_write_nothing_else_into_a_model() -> None:
    def fields(model: mujoco.MjModel) -> dict[str, np.ndarray]:
        names = [name for name in dir(model) if not name.startswith(("_", "tex", "bvh", "mesh"))]
        return {n: v.copy() for n in names if isinstance(v := getattr(model, n), np.ndarray)}

    for task in range(0, 50, 7):
        model = Model(CLASSES[task])
        arena = Arena(model)
        before = fields(model.model)
        arena.start(FAMILY.goal_vector(task, 5))
        started = fields(model.model)
        for action in actions(5):
            arena.step(action)
        after = fields(model.model)
        assert {name for name in before if not np.array_equal(before[name], started[name])} <= set(PLACES)
        assert all(np.array_equal(started[name], after[name]) for name in after)


def test_evaluation_has_twenty_different_goals_the_same_for_every_task() -> None:
    qpos, qvel = initial_states(FAMILY, 2, 20)
    assert qpos[:, 0].tolist() == [*range(20)] * 2
    assert qvel.shape == (40, 0)
    drawn = {float(initial_states(FAMILY, 1, 1, "online", episode)[0][0, 0]) for episode in range(10)}
    assert len(drawn) > 5


def test_the_horizon_truncates_and_metaworld_does_not_refuse_to_go_on() -> None:
    environment = gymnasium.make("ml45-v1", task=45)
    environment.reset(seed=0)
    still = np.zeros(4, np.float32)
    flags = [environment.step(still)[2:4] for _ in range(500)]
    assert flags[-1] == (False, True)
    assert not any(terminated or truncated for terminated, truncated in flags[:-1])
    environment.unwrapped.step(still)


def test_an_action_that_does_not_fit_is_refused() -> None:
    environment = make(7)
    environment.reset(seed=0)
    for action in (np.zeros(5), np.float32(0.5), np.full(4, np.nan)):
        with pytest.raises(ValueError, match="ml45 takes actions of 4 finite numbers"):
            environment.step(action)


def test_task_and_goal_are_chosen_at_reset() -> None:
    environment = gymnasium.make("ml45-v1", task=45)
    _, info = environment.reset(seed=0, options={"task": 46, "goal": 12})
    assert info == {"task": 46, "goal": 12}
    _, info = environment.reset()
    assert info["task"] == 46
    with pytest.raises(UnknownNameError, match="task of ml45 '50'.*0 to 49"):
        environment.reset(options={"task": 50})
    before = environment.unwrapped.goal
    for goal in (50, -1, "a"):
        with pytest.raises(UnknownNameError, match=f"goal of ml45 '{goal}'.*0 to 49"):
            environment.reset(options={"goal": goal})
    assert environment.unwrapped.goal == before


@pytest.mark.parametrize("found", [None, "3.0.0"])
def test_without_its_metaworld_everything_else_works_and_ml45_says_what_to_install(
    found: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(name: str) -> str:
        assert name == "metaworld"
        if found is None:
            raise metadata.PackageNotFoundError(name)
        return found

    monkeypatch.setattr(ml45.metadata, "version", version)
    family = families.family("ml45")
    assert (family.tasks, family.control_step, len(family.parameters)) == (50, 0.0125, 50)
    how = r"pip install metaworld==3\.1\.1, or pip install -e '\.\[metaworld\]' -c constraints\.txt"
    for use in (
        lambda: family.simulation([0]),
        lambda: gymnasium.make("ml45-v1", task=7),
        lambda: RunConfig("macaw", family="ml45"),
    ):
        with pytest.raises(SimulatorVersionError, match=how):
            use()


def test_a_process_that_dies_is_one_message() -> None:
    with pytest.raises(RunError, match="a process that simulates ml45 has ended"):  # noqa: PT012, SIM117
        with FAMILY.simulation([45, 46], threads=1) as simulation:
            assert isinstance(simulation, MetaWorldSimulation)
            (crew,) = simulation._crews
            assert isinstance(crew, RemoteCrew)
            crew._process.terminate()
            crew._process.join()
            simulation.reset(STARTS[:2], NONE[:2])
