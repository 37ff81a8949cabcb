"""What is not finite goes no further: not a diverged agent, not its snapshots, not what a simulator gives."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from benchmark.cli import main
from benchmark.data.collect import collect
from benchmark.data.recipe import Recipe
from benchmark.data.record import Recording, record
from benchmark.data.sac import SacConfig
from benchmark.data.share import Share, not_finite
from benchmark.data.snapshots import WEIGHTS, Snapshots, shipped_path
from benchmark.errors import CheckpointError, DataError, RunError
from benchmark.families.family import Family
from benchmark.families.simulation import BatchSimulation
from benchmark.families.stepping import Step

AGENTS = SacConfig(actor_hidden_size=8, critic_hidden_size=12, batch_size=8, random_steps=10)
TINY = Recipe("point-robot", steps=100, shares=2, tasks=[3, 7, 11], sac=AGENTS)
DIVERGING = replace(TINY, sac=replace(AGENTS, learning_rate=1e30))


def test_a_training_that_diverges_is_no_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # where the simulator writes its warnings
    share = Share(DIVERGING, 0, tmp_path)
    with pytest.raises(
        RunError, match=r"weights that are not finite in 16 bits: 3, 11\. .*smaller learning_rate"
    ):
        share.run()
    assert share.step < DIVERGING.steps
    assert not share.done_path.exists()


def test_snapshots_in_an_older_checkpoint_are_looked_at_too(tmp_path: Path) -> None:
    share = Share(TINY, 0, tmp_path)
    share.run(asked_to_stop=lambda: share.step == 50)
    share.snapshots[40][2][1] = 1e5  # of the second task; 16 bits hold 65,504 at most
    share.save()
    resumed = Share(TINY, 0, tmp_path)
    resumed.load()
    with pytest.raises(RunError, match=r"after 40 steps .* not finite in 16 bits: 11\. "):
        resumed.run()
    assert not share.done_path.exists()


def test_a_share_that_an_older_version_called_done_is_refused(tmp_path: Path) -> None:
    collect(TINY, tmp_path, processes=1)
    path = Share(TINY, 1, tmp_path).done_path
    weights = load_file(path)
    weights["100/3"][:] = math.nan
    save_file(weights, path, metadata={"recipe": TINY.to_toml()})
    with pytest.raises(CheckpointError, match=r"share-1\.safetensors holds weights that are not finite"):
        collect(TINY, tmp_path, processes=1)


def test_rows_that_are_not_finite_in_16_bits_are_named() -> None:
    weights = [torch.ones(4, 2, 3), torch.ones(4, 1, 3)]
    assert not_finite(weights) == []
    weights[0][1, 1, 2], weights[1][3, 0, 0] = math.nan, -65_530
    assert not_finite(weights) == [1, 3]


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e5])
def test_policies_that_are_not_finite_are_no_snapshots(
    cheetah: Family, snapshots: Snapshots, value: float
) -> None:
    weights = [[[snapshots.weights[name][task, 0] for name in WEIGHTS]] for task in range(2)]
    weights[1][0][2] = np.full_like(weights[1][0][2], value, np.float32)
    with pytest.raises(DataError, match="not finite in 16 bits, first agent 1's number 0"):
        Snapshots.from_weights(cheetah.id, (10,), 5, weights)


def test_a_file_of_such_snapshots_is_damaged(
    small_standard: Family, snapshots: Snapshots, capsys: pytest.CaptureFixture[str]
) -> None:
    path = shipped_path(small_standard.name)
    damaged = {name: weight.copy() for name, weight in snapshots.weights.items()}
    damaged["b2"][0, 2, 0, 0] = np.inf
    save_file(
        damaged, path, metadata={"family": small_standard.id, "steps": "[1, 2, 3]", "random_steps": "1"}
    )
    assert main(["data", "catalog", "--family", small_standard.name]) == 2
    message = capsys.readouterr().err
    assert f"{path} are damaged (" in message
    assert "first agent 0's number 2" in message


def after_every_step(change: Callable[[Step], None]) -> Callable[[BatchSimulation, np.ndarray], Step]:
    step = BatchSimulation.step

    def changed(simulation: BatchSimulation, actions: np.ndarray) -> Step:
        after = step(simulation, actions)
        change(after)
        return after

    return changed


@pytest.mark.filterwarnings("ignore:invalid value encountered")
@pytest.mark.parametrize("name", ["observations", "rewards"])
def test_what_a_simulator_gives_is_not_recorded(
    falling: Family, snapshots: Snapshots, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(after: Step) -> None:
        getattr(after, name)[-1] = np.inf

    monkeypatch.chdir(tmp_path)  # where the simulator writes its warnings
    monkeypatch.setattr(BatchSimulation, "step", after_every_step(spoil))
    with pytest.raises(DataError, match=rf"the {name} of task 1, snapshot 2, episode \d+ are not all finite"):
        record(Recording(falling, snapshots, "expert", 60), "x", threads=1)
