"""Scripted behaviour: true likelihoods, the same bits whatever the lanes and processes, all goals, a standard."""

import json
import math
import warnings
from dataclasses import replace
from pathlib import Path

import minari
import numpy as np
import pytest
from metaworld.policies import ENV_POLICY_MAP

from benchmark import families, files
from benchmark.data import card, catalog, dataset, overview, standardise, store
from benchmark.data import record as recording_module
from benchmark.data import shipped as shipped_module
from benchmark.data.behaviour import GRID
from benchmark.data.dataset import Dataset
from benchmark.data.open import open_dataset
from benchmark.data.recipe import Recipe, recipe_path
from benchmark.data.record import Job, Recording, record
from benchmark.data.references import deterministic_returns, read_snapshot_returns, returns_path
from benchmark.data.scripts import LEVELS, UNIFORM_SHARE, Scripts
from benchmark.data.share import Share
from benchmark.data.snapshots import UNIFORM
from benchmark.errors import ConfigError, DataError
from benchmark.families import metaworld_simulation
from benchmark.families.metaworld_environment import MetaWorldEnvironment
from benchmark.families.ml45 import CLASSES, GOALS, MetaWorld45
from benchmark.run_config import RunConfig
from benchmark.training import Run
from tests.data.synthetic import BriefMetaWorld

BRIEF = BriefMetaWorld()
SIZE = 200


class Hasty(MetaWorld45):
    """All tasks, and episodes of 20 steps."""

    horizon = 20


@pytest.fixture(scope="module")
def recording() -> Recording:
    return Recording(BRIEF, Scripts(BRIEF), "mixed", SIZE)


@pytest.fixture(scope="module")
def recorded(recording: Recording) -> Dataset:
    return record(recording, "omrl/ml45/mixed-v1", threads=1)


@pytest.mark.parametrize(("lanes", "threads"), [(1, 1), (5, 1), (7, 2)])
def test_lanes_and_processes_do_not_reach_the_data(
    recording: Recording, recorded: Dataset, lanes: int, threads: int
) -> None:
    again = record(recording, recorded.id, lanes=lanes, threads=threads)
    assert again.content_hash == recorded.content_hash


def episode_jobs(data: Dataset) -> list[Job]:
    counts: dict[tuple[int, int], int] = {}
    jobs = []
    for task, snapshot in zip(data.tasks.tolist(), data.snapshots.tolist(), strict=True):
        jobs.append(Job(task, snapshot, counts.get((task, snapshot), 0)))
        counts[task, snapshot] = jobs[-1].episode + 1
    return jobs


def test_log_probs_are_the_densities_of_the_stored_actions(recording: Recording, recorded: Dataset) -> None:
    """From their definition, one number at a time, with the scripts as Meta-World ships them."""
    checked = 0
    for number, job in enumerate(episode_jobs(recorded)):
        episode = recorded.episode(number)
        if job.snapshot == UNIFORM:
            np.testing.assert_allclose(episode["log_probs"], -4 * math.log(2), atol=GRID)
            continue
        environment = MetaWorldEnvironment("ml45", job.task)
        environment.reset(options={"goal": recording.number(job) % GOALS})
        target, level = environment._arena.target, LEVELS[job.snapshot]
        script = ENV_POLICY_MAP[CLASSES[job.task]]()
        for step in range(0, BRIEF.horizon, 6):
            shown = [*episode["observations"][step].astype(float)[:36], *target]
            with warnings.catch_warnings(action="ignore"):
                wanted = script.get_action(np.array(shown))
            total = 0.0
            for a, w in zip(episode["actions"][step].astype(float), wanted, strict=True):
                z = (math.atanh(a) - level.skill * math.atanh(min(max(w, -0.97), 0.97))) / level.noise
                total += (
                    -0.5 * z * z - math.log(level.noise) - 0.5 * math.log(2 * math.pi) - math.log(1 - a * a)
                )
            assert float(episode["log_probs"][step]) == pytest.approx(total, abs=0.51 * GRID, rel=1e-6)
            checked += 1
    assert checked > 50


def test_an_episode_replays_in_the_gymnasium_environment(recording: Recording, recorded: Dataset) -> None:
    jobs = episode_jobs(recorded)
    for number in (0, len(jobs) // 2, len(jobs) - 1):
        environment, episode = MetaWorldEnvironment("ml45", jobs[number].task), recorded.episode(number)
        seen, _ = environment.reset(options={"goal": recording.number(jobs[number]) % GOALS})
        assert np.array_equal(seen, episode["observations"][0])
        for step, action in enumerate(episode["actions"]):
            observation, reward, *_ = environment.step(action)
            assert np.array_equal(observation, episode["observations"][step + 1])
            assert np.float32(reward) == episode["rewards"][step]
    assert not recorded.terminated.any()
    assert set(recorded.lengths.tolist()) == {BRIEF.horizon}


def test_goals_are_hidden_and_a_data_set_of_one_episode_per_goal_has_them_all() -> None:
    recording = Recording(BRIEF, Scripts(BRIEF), "mixed", GOALS * BRIEF.horizon)
    data = record(recording, "x", tasks=[2], threads=1)
    goals = [recording.number(job) % GOALS for job in episode_jobs(data)]
    assert sorted(goals) == list(range(GOALS))
    assert not data.observations[:, -3:].any()
    starts = [data.episode(number)["observations"][0].tobytes() for number in range(data.episodes)]
    assert len(set(starts)) == GOALS  # the button is elsewhere for each


def test_small_data_of_every_tier_spread_over_many_goals() -> None:
    family = families.family("ml45")
    assert isinstance(family, MetaWorld45)
    for tier in ("mixed", "random", "expert"):
        recording = Recording(family, Scripts(family), tier, 20_000)
        counts = recording_module.episode_counts(recording.shares(0), 20_000, family.horizon, {})
        jobs = [Job(0, snapshot, episode) for snapshot, count in counts.items() for episode in range(count)]
        assert len(jobs) == len({recording.number(job) % GOALS for job in jobs}) == 40


def test_levels_run_from_near_random_to_expert() -> None:
    shares = Scripts(BRIEF).life_shares
    assert list(shares) == [UNIFORM, *range(len(LEVELS))]
    assert sum(shares.values()) == pytest.approx(1)
    assert shares[UNIFORM] == UNIFORM_SHARE
    assert [(level.skill, -level.noise) for level in LEVELS] == sorted(
        (one.skill, -one.noise) for one in LEVELS
    )


def test_the_expert_solves_what_random_actions_do_not() -> None:
    family, solved = families.family("ml45"), {}
    assert isinstance(family, MetaWorld45)
    task = CLASSES.index("door-lock-v3")
    for tier in ("random", "expert"):
        data = record(Recording(family, Scripts(family), tier, 500), "x", tasks=[task], threads=1)
        environment = MetaWorldEnvironment("ml45", task)
        environment.reset(options={"goal": 0})
        solved[tier] = any(environment.step(action)[4]["success"] for action in data.actions)
    assert solved == {"random": False, "expert": True}


def test_there_is_nothing_to_train(tmp_path: Path) -> None:
    for start in (lambda: Share(Recipe("ml45"), 0, tmp_path), lambda: recipe_path("ml45")):
        with pytest.raises(ConfigError, match="behaviour of ml45-v1 is scripted.*data record --family ml45"):
            start()


@pytest.fixture(scope="module")
def brief_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `datasets` folder whose ml45 is the brief one."""
    folder = tmp_path_factory.mktemp("brief") / "datasets"
    with pytest.MonkeyPatch.context() as patch:
        brief(patch, folder)
        standardise.measure("ml45", episodes=2)
        standardise.add_hashes("ml45")
    return folder


def brief(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Take the brief family for ml45, everything in this process, and this folder for the project's."""
    patch.setattr(families, "_instance", lambda name: BRIEF)
    patch.setattr(metaworld_simulation, "cores", lambda: 0)
    patch.setattr(BriefMetaWorld, "steps_in_python", False)
    patch.setattr(recording_module, "cores", lambda: 1)
    patch.setattr(files, "DATASETS", folder)
    patch.setitem(dataset.SIZES, "small", SIZE)


@pytest.fixture
def brief_standard(brief_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    brief(monkeypatch, brief_folder)
    return brief_folder


def test_success_rates_are_measured_and_kept(brief_standard: Path) -> None:
    known = catalog.entry(BRIEF).references
    rows = read_snapshot_returns(returns_path("ml45"))
    assert known.successes is not None
    assert [row.snapshot for row in rows if row.task == 0] == [UNIFORM, *range(len(LEVELS))]
    assert all(row.stochastic_success is not None for row in rows)
    assert [row.deterministic_success for row in rows if row.snapshot == 5] == list(known.successes.expert)
    assert [row.stochastic_return for row in rows if row.snapshot == UNIFORM] == list(known.random)
    assert set(known.blind) == set(known.successes.blind) == {"standard", "tuning"}


def test_a_blind_expert_does_not_see_the_goal() -> None:
    """As no algorithm does: in its own task it reaches for another place than the expert, who sees it."""
    family, reach = Hasty(), CLASSES.index("reach-v3")
    expert, blind = (
        deterministic_returns(family, Scripts(family), len(LEVELS) - 1, 3, agent, [reach]).returns
        for agent in (None, reach)
    )
    assert expert[0] > blind[0]


def test_the_minari_form_says_what_acted(brief_standard: Path) -> None:
    data = open_dataset("ml45", "expert")
    read = minari.load_dataset("omrl/ml45/expert-v1")
    assert read.total_steps == data.rows
    metadata = read.storage.metadata
    assert metadata["task_names"] == ["assembly", "basketball", "button-press-topdown"]
    assert "metaworld==3.1.1" in metadata["requirements"]
    assert store.ingest(data.id).content_hash == data.content_hash
    assert all(finding.problem is None for finding in overview.verify("ml45", "expert", "small"))


def test_other_levels_are_not_the_standards(brief_standard: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = (*LEVELS[:-1], replace(LEVELS[-1], noise=0.2))
    assert Scripts(BRIEF, changed).fingerprint != Scripts(BRIEF).fingerprint
    monkeypatch.setattr(shipped_module, "Scripts", lambda family: Scripts(family, changed))
    with pytest.raises(DataError, match="its levels have changed"):
        open_dataset("ml45", "mixed")


def test_the_card_names_levels_tasks_and_scripts_that_fail(brief_standard: Path) -> None:
    text, picture = card.write_card("ml45")
    content = text.read_text()
    known = catalog.entry(BRIEF)
    assert known.hashes["small"]["mixed"] in content
    for level in LEVELS:
        assert f"| {level.skill:g} | {level.noise:g} |" in content
    assert "| 1 | basketball |" in content
    # 20 steps are too few for any script
    failing = "Tasks whose script fails, on more than half of the goals: assembly (0 %), basketball (0 %)"
    assert failing in content
    assert picture.stat().st_size > 10_000


def test_a_run_of_two_hundred_steps_is_scored_by_success(brief_standard: Path, tmp_path: Path) -> None:
    """All other families take as many in `tests/test_every_family.py`."""
    small = {"hidden_size": 8, "hidden_layers": 2, "latent_size": 4, "inner_batch": 16, "outer_batch": 16}
    config = RunConfig("macaw", family="ml45", steps=200, evaluate_every=200, threads=1, settings=small)
    config = replace(config, contexts=(replace(config.contexts[0], size=64),))
    run = Run(config, tmp_path / "run", lambda tier: open_dataset("ml45", tier))
    run.prepare(resume=False)
    (row,) = run.train().to_dict("records")
    known = catalog.entry(BRIEF).references
    assert known.successes is not None
    assert row["steps"] == 200
    assert row["score"] == 100 * row["adapted_success"]
    assert row["unadapted_success"] in np.arange(21) / 20
    assert (row["expert_success"], row["expert_return"]) == (known.successes.expert[2], known.expert[2])
    assert row["blind_success"] == known.successes.blind["standard"][0]
    assert json.dumps(row["adapted_return"])
