"""Collecting behaviour: it resumes exactly, refuses what does not fit, and improves on random actions."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.data.collect import collect, gather
from benchmark.data.frames import TaskFrames
from benchmark.data.recipe import Recipe
from benchmark.data.sac import SacConfig
from benchmark.data.share import Share, read_done
from benchmark.errors import CheckpointError, ConfigError, RunError
from tests.data.conftest import full_disk
from tests.worker_processes import running, workers_of

SMALL = SacConfig(actor_hidden_size=8, critic_hidden_size=12, batch_size=8, random_steps=10)
TINY = Recipe("cheetah-dir", steps=100, shares=2, sac=SMALL)
TWO_SHARES = Recipe("cheetah-dir")
TOGETHER = replace(TINY, sac=replace(SMALL, environments=4, random_steps=20))


def run(recipe: Recipe, out: Path, stop: int | None = None) -> Share:
    """Share 0, killed after it has saved so many steps; checkpoints every 25, or as near as can be."""
    share = Share(recipe, 0, out)
    share.load()
    if stop is None:
        share.run(checkpoint_every=25)
        return share
    save, share.save = share.save, lambda: None  # type: ignore[method-assign]

    def save_and_stop() -> None:
        save()
        if share.step == stop:
            raise KeyboardInterrupt

    share.save = save_and_stop  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        share.run(checkpoint_every=25)
    return share


def weights(recipe: Recipe, out: Path) -> list[list[torch.Tensor]]:
    found = read_done(recipe, 0, out)
    assert found is not None
    assert len(found) == len(recipe.snapshot_steps)
    return found


def assert_same(recipe: Recipe, out: Path, other: Path) -> None:
    for mine, theirs in zip(weights(recipe, out), weights(recipe, other), strict=True):
        assert all(torch.equal(one, two) for one, two in zip(mine, theirs, strict=True))


AHEAD = replace(TOGETHER, sac=replace(TOGETHER.sac, n_step=4, reward_scale=0.1, decay=0.5))
SHARED = replace(AHEAD, shares=1, sac=replace(AHEAD.sac, shared=True))
TURNED = Recipe("ant-dir", steps=100, tasks=[3, 7, 11, 20], sac=replace(AHEAD.sac, turned=True))


@pytest.mark.parametrize(
    "recipe",
    [TINY, TOGETHER, AHEAD, SHARED, TURNED],
    ids=["one environment", "four", "four steps ahead", "shared", "turned"],
)
def test_a_killed_share_goes_on_bit_for_bit(tmp_path: Path, recipe: Recipe) -> None:
    run(recipe, tmp_path / "whole")
    run(recipe, tmp_path / "killed", stop=50 if recipe is TINY else 52)
    assert (tmp_path / "killed" / "share-0.pt").exists()
    run(recipe, tmp_path / "killed")
    assert_same(recipe, tmp_path / "whole", tmp_path / "killed")
    assert not (tmp_path / "killed" / "share-0.pt").exists()


def test_copies_of_an_environment_fill_the_replay_together(tmp_path: Path) -> None:
    share = Share(TOGETHER, 0, tmp_path)
    share.run(asked_to_stop=lambda: share.step >= 60)
    assert (share.step, share.agents.replay.stored, share.agents.updates) == (60, 60, 11)
    replay = share.agents.replay.rows[0, :60]
    first = share.family.observation_size
    for row in range(0, 56, 4):  # a copy's next observation is what it sees in the next step
        assert torch.equal(
            replay[row : row + 4, first + 6 : 2 * first + 6], replay[row + 4 : row + 8, :first]
        )
    assert len({tuple(one.tolist()) for one in replay[:4, :first]}) == 4


def test_rows_of_a_share_add_up_scaled_rewards_of_the_same_copy(tmp_path: Path) -> None:
    rows = []
    for recipe in (AHEAD, replace(AHEAD, sac=replace(AHEAD.sac, n_step=1, reward_scale=1.0))):
        share = Share(recipe, 0, tmp_path)
        for _ in range(3):  # random actions, the same for both
            share.environment_step()
        rows.append(share.agents.replay.rows[0, :12])
    ahead, single = rows
    returns = single[:4, -2] + 0.99 * single[4:8, -2] + 0.99**2 * single[8:, -2]
    torch.testing.assert_close(ahead[:4, -2], 0.1 * returns)
    torch.testing.assert_close(ahead[:4, -1], torch.full((4,), 0.99**3))


def test_agents_that_share_differ_in_their_first_biases_alone(tmp_path: Path) -> None:
    weights = collect(SHARED, tmp_path, processes=1).weights
    assert len(weights["w1"]) == 2
    for name, both in weights.items():
        assert (both[0] == both[1]).all() == (name != "b1")


def test_a_turned_agent_learns_in_the_frames_from_all_its_tasks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.data.sac.native_bfloat16", lambda: False)  # compared to 1e-5 below
    share = Share(TURNED, 0, tmp_path)
    share.environment_step()
    rows = share.agents.replay.rows
    assert (share.tasks, rows.shape[:2], share.agents.replay.stored) == ([3, 11], (1, 200), 8)
    raw = share.family.observation(share.simulation.state)
    later = rows[0, :8, 27 + 8 : -2].numpy() / share.family.observation_scale
    np.testing.assert_allclose(later, TaskFrames(share.family, np.repeat([3, 11], 4)).seen(raw), atol=1e-5)
    share.run(asked_to_stop=lambda: share.step >= 40)
    w1, b1, w2, b2, w3, b3 = share._actors()  # what is shipped, on what environments give
    raw = torch.from_numpy(share.family.observation(share.simulation.state).astype(np.float32)).view(2, 4, 27)
    shipped = torch.relu(torch.relu(raw @ w1 + b1) @ w2 + b2) @ w3 + b3
    inputs = share.observations * share.agents.scale
    seen = share.agents.actor.forward(inputs)[0]  # what the agent makes of it
    torch.testing.assert_close(shipped.view_as(seen), seen, rtol=1e-4, atol=1e-5)
    assert shipped[0].std(0).max() > 1e-3


def test_collecting_with_two_processes(tmp_path: Path) -> None:
    seen: list[int] = []
    snapshots = collect(TINY, tmp_path, progress=seen.append)
    assert snapshots.family_id == "cheetah-dir-v1"
    assert snapshots.steps == TINY.snapshot_steps
    assert snapshots.weights["w1"].shape == (2, 12, 20, 8)
    assert sum(snapshots.life_shares.values()) == pytest.approx(1.0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["share-0.safetensors", "share-1.safetensors"]
    again = collect(TINY, tmp_path)
    assert all((again.weights[name] == snapshots.weights[name]).all() for name in snapshots.weights)
    assert not (snapshots.weights["w2"][0] == snapshots.weights["w2"][1]).all()
    one_by_one = collect(TINY, tmp_path / "one by one", processes=1)
    assert all((one_by_one.weights[name] == snapshots.weights[name]).all() for name in snapshots.weights)


def test_checkpoints_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    run(TINY, tmp_path, stop=50)
    with pytest.raises(CheckpointError, match=r"share-0\.pt belongs to another recipe"):
        Share(replace(TINY, seed=1), 0, tmp_path).load()
    with pytest.raises(CheckpointError, match=r"share 0 in .* is not done; run collect again"):
        gather(TINY, tmp_path)
    path = tmp_path / "share-0.pt"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"share-0\.pt cannot be read"):
        Share(TINY, 0, tmp_path).load()


def test_a_share_of_before_a_setting_came_is_of_the_same_recipe(tmp_path: Path) -> None:
    run(TINY, tmp_path, stop=50)
    state = torch.load(tmp_path / "share-0.pt", weights_only=True)
    del state["recipe"]["sac"]["turned"]
    torch.save(state, tmp_path / "share-0.pt")
    share = Share(TINY, 0, tmp_path)
    share.load()
    assert share.step == 50


def test_a_finished_share_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    run(TINY, tmp_path)
    with pytest.raises(CheckpointError, match=r"share-0\.safetensors belongs to another recipe"):
        read_done(replace(TINY, seed=1), 0, tmp_path)
    path = tmp_path / "share-0.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"share-0\.safetensors cannot be read"):
        collect(TINY, tmp_path)


def test_what_a_killed_worker_was_writing_goes(tmp_path: Path) -> None:
    left = [tmp_path / name for name in (".share-0.pt.4194999.part", ".share-1.csv.deadbeef.7.part")]
    for path in (*left, tmp_path / ".share-10.pt.7.part"):
        path.touch()
    collect(TINY, tmp_path)
    assert sorted(path.name for path in tmp_path.glob(".*")) == [".share-10.pt.7.part"]


def test_some_tasks_alone_are_trained(tmp_path: Path) -> None:
    recipe = Recipe("point-robot", steps=40, shares=2, tasks=[3, 7, 11], sac=SMALL)
    assert [recipe.tasks_of_share(number) for number in (0, 1)] == [[3, 11], [7]]
    snapshots = collect(recipe, tmp_path)
    assert snapshots.tasks == 3
    second = read_done(recipe, 1, tmp_path)
    assert second is not None
    assert np.array_equal(snapshots.weights["b1"][1, -1], second[-1][1][0])


@pytest.mark.parametrize("processes", [0, -1])
def test_fewer_than_one_process_is_refused(tmp_path: Path, processes: int) -> None:
    with pytest.raises(ConfigError, match=f"processes is {processes}; at least 1"):
        collect(TINY, tmp_path, processes)


def test_a_share_stopped_at_any_step_goes_on_bit_for_bit(tmp_path: Path) -> None:
    run(TINY, tmp_path / "whole")
    for stop in (1, 9, 10, 37, 38, 99, 100):
        share = Share(TINY, 0, tmp_path / "stopped")
        share.load()
        share.run(asked_to_stop=lambda share=share, stop=stop: share.step >= stop)
        assert share.step == stop
    assert_same(TINY, tmp_path / "whole", tmp_path / "stopped")


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.1)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the workers by /proc")
@pytest.mark.parametrize(
    ("send", "status"),
    [
        (lambda parent: os.kill(parent, signal.SIGTERM), 143),
        (lambda parent: os.killpg(parent, signal.SIGINT), 130),  # as a terminal does: to the workers as well
        (lambda parent: os.kill(parent, signal.SIGKILL), -9),
    ],
    ids=["SIGTERM", "Ctrl-C", "SIGKILL"],
)
def test_workers_end_with_their_parent_and_save(
    tmp_path: Path, send: Callable[[int], None], status: int
) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(TWO_SHARES.to_toml())
    command = [sys.executable, "-m", "benchmark", "data", "collect", "--family", "cheetah-dir"]
    parent = subprocess.Popen(
        [*command, "--recipe", str(recipe), "--out", str(tmp_path), "--processes", "2"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    out = tmp_path / "cheetah-dir"
    workers: list[int] = []
    try:
        wait_until(lambda: len(list(out.glob("share-*.csv"))) == 2, "both shares write their logs")
        workers = workers_of(parent.pid)
        assert len(workers) == 2
        send(parent.pid)
        message = parent.communicate(timeout=120)[1]
        wait_until(lambda: not any(running(worker) for worker in workers), "the workers end")
    finally:
        for process in (parent.pid, *workers):
            if running(process):
                os.kill(process, signal.SIGKILL)
    assert parent.returncode == status
    assert "Traceback" not in message
    if status > 0:
        assert message.count("stopped by SIG") == 1
        assert "holds its checkpoint. The same command goes on." in message
    for number in range(2):
        share = Share(TWO_SHARES, number, out)
        share.load()
        assert share.step >= 1000


def test_a_failed_process_ends_the_others(tmp_path: Path) -> None:
    long = replace(TINY, steps=100_000)
    (tmp_path / "share-1.pt").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match=r"share-1\.pt cannot be read"):
        collect(long, tmp_path, processes=2)
    assert not multiprocessing.active_children()
    other = Share(long, 0, tmp_path)
    other.load()
    assert 0 < other.step < 100_000


def test_a_killed_process_ends_the_others(tmp_path: Path) -> None:
    def kill_one(step: int) -> None:
        multiprocessing.active_children()[0].kill()

    with pytest.raises(
        RunError, match=r"the process of share \d was killed by SIGKILL .*the same command goes on"
    ):
        collect(replace(TINY, steps=100_000), tmp_path, processes=2, progress=kill_one)
    assert not multiprocessing.active_children()


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match=r"file/cheetah-dir cannot be written: .*Choose another --out"):
        collect(TINY, tmp_path / "file" / "cheetah-dir")


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    share = run(TINY, tmp_path, stop=50)
    del share.save
    before = share.path.read_bytes()
    with (
        full_disk(5_000),
        pytest.raises(RunError, match=r"share-0\.pt of step 50 cannot be written") as failed,
    ):
        share.save()
    assert "The last checkpoint stays; free some space, then the same command goes on." in str(failed.value)
    assert share.path.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["share-0.pt"]


def test_a_log_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "share-0.csv").mkdir()
    with pytest.raises(
        RunError, match=r"share-0\.csv cannot be written at step 1000.*the same command goes on"
    ):
        Share(replace(TINY, steps=2000), 0, tmp_path).run()
