"""Collecting behaviour: it resumes exactly, refuses what does not fit, and improves on random actions."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmark.data.collect import CollectConfig, Worker, collect, gather
from benchmark.data.sac import SacConfig
from benchmark.errors import CheckpointError, ConfigError

TINY = CollectConfig(
    "cheetah-dir", steps=100, workers=2, sac=SacConfig(hidden_size=8, batch_size=8, random_steps=10)
)


def run(config: CollectConfig, out: Path, stop: int | None = None) -> Worker:
    """Worker 0, stopped after so many steps; checkpoints every 25."""
    worker = Worker(config, 0, out)
    worker.load()
    if stop is None:
        worker.run(checkpoint_every=25)
        return worker
    save, worker.save = worker.save, lambda: None  # type: ignore[method-assign]

    def save_and_stop() -> None:
        save()
        if worker.step == stop:
            raise KeyboardInterrupt

    worker.save = save_and_stop  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        worker.run(checkpoint_every=25)
    return worker


def test_a_killed_worker_goes_on_bit_for_bit(tmp_path: Path) -> None:
    whole = run(TINY, tmp_path / "whole")
    run(TINY, tmp_path / "killed", stop=50)
    resumed = run(TINY, tmp_path / "killed")
    assert sorted(resumed.snapshots) == sorted(TINY.snapshot_steps)
    for step in TINY.snapshot_steps:
        for mine, theirs in zip(whole.snapshots[step], resumed.snapshots[step], strict=True):
            assert torch.equal(mine, theirs)


def test_collecting_with_two_processes(tmp_path: Path) -> None:
    seen: list[int] = []
    snapshots = collect(TINY, tmp_path, progress=seen.append)
    assert snapshots.family_id == "cheetah-dir-v1"
    assert snapshots.steps == TINY.snapshot_steps
    assert snapshots.weights["w1"].shape == (2, 12, 20, 8)
    assert sum(snapshots.life_shares.values()) == pytest.approx(1.0)
    again = collect(TINY, tmp_path)
    assert all((again.weights[name] == snapshots.weights[name]).all() for name in snapshots.weights)
    assert not (snapshots.weights["w2"][0] == snapshots.weights["w2"][1]).all()


def test_checkpoints_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    run(TINY, tmp_path, stop=50)
    with pytest.raises(CheckpointError, match="worker-0.pt belongs to another recipe"):
        Worker(replace(TINY, seed=1), 0, tmp_path).load()
    with pytest.raises(CheckpointError, match="has done 50 of 100 steps; run collect again"):
        gather(TINY, tmp_path)
    path = tmp_path / "worker-0.pt"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"worker-0\.pt cannot be read"):
        Worker(TINY, 0, tmp_path).load()


def test_impossible_recipes_are_refused() -> None:
    with pytest.raises(ConfigError, match="workers is 0"):
        replace(TINY, workers=0)
    with pytest.raises(ConfigError, match="steps is 10"):
        replace(TINY, steps=10)
