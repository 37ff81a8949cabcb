"""A run: the loop, its files, what survives a kill, and what happens when a method misbehaves."""

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from benchmark.algorithm import Transitions
from benchmark.data.dataset import Dataset
from benchmark.errors import (
    AlgorithmError,
    BenchmarkError,
    CheckpointError,
    ConfigError,
    RunError,
    UnknownNameError,
)
from benchmark.interruption import Interrupted
from benchmark.results.rows import read_rows
from benchmark.run_config import RunConfig
from benchmark.training import Progress, Run

Open = Callable[[str], Dataset]
SMALL: dict[str, Any] = {
    "hidden_size": 8, "hidden_layers": 2, "latent_size": 4, "inner_batch": 16, "outer_batch": 16,
}  # fmt: skip
CONFIG = RunConfig("macaw", steps=20, evaluate_every=10, threads=1, settings=SMALL)


def start(folder: Path, data: Open, config: RunConfig = CONFIG, resume: bool = False) -> Run:
    run = Run(config, folder, data)
    run.prepare(resume)
    return run


def flat(state: Any) -> list[torch.Tensor]:
    """All tensors of a nested state, in order."""
    if isinstance(state, torch.Tensor):
        return [state]
    items = state.values() if isinstance(state, dict) else state if isinstance(state, (list, tuple)) else ()
    return [tensor for item in items for tensor in flat(item)]


def assert_same(one: Run, other: Run) -> None:
    """Parameters, metrics and results of two runs agree byte for byte."""
    pairs = list(zip(flat(one.algorithm.state()), flat(other.algorithm.state()), strict=True))
    assert pairs
    assert all(torch.equal(a, b) for a, b in pairs)
    for name in ("metrics.csv", "result.csv"):
        assert (one.folder / name).read_bytes() == (other.folder / name).read_bytes()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Callable[[Open], Run]:
    """The undisturbed run of 20 steps, made once."""
    made: list[Run] = []

    def make(data: Open) -> Run:
        if not made:
            made.append(start(tmp_path_factory.mktemp("whole"), data))
            made[0].train()
        return made[0]

    return make


def test_a_run_leaves_its_files(whole: Callable[[Open], Run], tiny_data: Open) -> None:
    run = whole(tiny_data)
    assert {path.name for path in run.folder.iterdir()} == {
        "config.toml", "metrics.csv", "timing.csv", "result.csv", "checkpoint",
    }  # fmt: skip
    metrics = pd.read_csv(run.folder / "metrics.csv")
    assert metrics["step"].tolist() == [10, 20]
    assert {"loss", "adapted_return", "unadapted_return", "score", "adapted_return_task_1"} <= set(metrics)
    rows = read_rows(run.folder / "result.csv")
    assert rows["task"].tolist() == [0, 1]
    assert rows["steps"].tolist() == [20, 20]
    assert rows["adapted_return"].mean() == pytest.approx(metrics["adapted_return"].iloc[-1], abs=1e-3)
    assert "hidden_size = 8" in (run.folder / "config.toml").read_text()


def test_a_longer_run_is_a_shorter_one_gone_on(
    whole: Callable[[Open], Run], tiny_data: Open, tmp_path: Path
) -> None:
    start(tmp_path, tiny_data, replace(CONFIG, steps=10)).train()
    resumed = start(tmp_path, tiny_data, resume=True)
    assert resumed.step == 10
    resumed.train()
    assert_same(whole(tiny_data), resumed)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_a_run_that_goes_on_bit_for_bit(
    whole: Callable[[Open], Run], tiny_data: Open, tmp_path: Path, number: signal.Signals
) -> None:
    run = start(tmp_path, tiny_data)
    update = run.algorithm.update

    def interrupted(data: Any) -> Any:
        if run.step == 12:
            os.kill(os.getpid(), number)
        return update(data)

    run.algorithm.update = interrupted  # type: ignore[method-assign]
    with pytest.raises(Interrupted, match=f"stopped by {number.name} at step 13.*--resume") as stopped:
        run.train()
    assert stopped.value.exit_code == 128 + number
    resumed = start(tmp_path, tiny_data, resume=True)
    assert resumed.step == 13
    resumed.train()
    assert_same(whole(tiny_data), resumed)


def test_a_kill_loses_only_the_steps_since_the_checkpoint(
    whole: Callable[[Open], Run], tiny_data: Open, tmp_path: Path
) -> None:
    run = start(tmp_path, tiny_data)

    def die(progress: Progress) -> None:
        raise KeyboardInterrupt  # as abrupt as a kill: nothing of the loop's own runs after it

    with pytest.raises(KeyboardInterrupt):
        run.train(die)
    resumed = start(tmp_path, tiny_data, resume=True)
    assert resumed.step == 10
    resumed.train()
    assert_same(whole(tiny_data), resumed)


def test_evaluating_more_often_does_not_change_training(
    whole: Callable[[Open], Run], tiny_data: Open, tmp_path: Path
) -> None:
    run = start(tmp_path, tiny_data, replace(CONFIG, evaluate_every=4))
    run.train()
    for mine, theirs in zip(
        flat(run.algorithm.state()), flat(whole(tiny_data).algorithm.state()), strict=True
    ):
        assert torch.equal(mine, theirs)


def test_seeds_differ(whole: Callable[[Open], Run], tiny_data: Open, tmp_path: Path) -> None:
    run = start(tmp_path, tiny_data, replace(CONFIG, seed=1))
    run.train()
    assert not torch.equal(flat(run.algorithm.state())[0], flat(whole(tiny_data).algorithm.state())[0])


def test_a_run_is_never_overwritten(tiny_data: Open, tmp_path: Path) -> None:
    start(tmp_path, tiny_data).train()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(RunError, match="holds a finished run.*--out"):
        start(tmp_path, tiny_data)
    for change, message in [
        ({"seed": 1}, "seed: 0 there, 1 here"),
        ({"settings": {**SMALL, "latent_size": 5}}, "algorithm_settings"),
        ({"split": "tuning"}, "split: 'standard' there, 'tuning' here"),
    ]:
        with pytest.raises(CheckpointError, match=message):
            start(tmp_path, tiny_data, replace(CONFIG, **change), resume=True)  # type: ignore[arg-type]
    with pytest.raises(RunError, match="already done 20 steps"):
        start(tmp_path, tiny_data, replace(CONFIG, steps=10), resume=True)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_an_unfinished_run_is_not_overwritten(tiny_data: Open, tmp_path: Path) -> None:
    start(tmp_path, tiny_data)
    with pytest.raises(RunError, match="holds an unfinished run.*--resume"):
        start(tmp_path, tiny_data)


def test_a_folder_that_cannot_be_written_is_named(tiny_data: Open, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match="file/run cannot be written"):
        start(tmp_path / "file" / "run", tiny_data)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_checkpoint(
    tiny_data: Open, tmp_path: Path
) -> None:
    run = start(tmp_path, tiny_data)
    update = run.algorithm.update

    def broken(data: Any) -> Any:
        metrics = dict(update(data))
        if run.step >= 14:
            metrics["loss"] = metrics["loss"] * float("nan")
        return metrics

    run.algorithm.update = broken  # type: ignore[method-assign]
    with pytest.raises(RunError, match="metric/loss is not finite at step 20.*stays"):
        run.train()
    assert start(tmp_path, tiny_data, resume=True).step == 10


CUSTOM = """
import torch
from benchmark.algorithm import Algorithm

class Method(Algorithm):
    name = "custom"
    def __init__(self, config, family, device, random):
        self.actions = family.action_size
    def update(self, data):
        return {"loss": torch.zeros(())}
    def adapt(self, context):
        return lambda observations: torch.zeros(*observations.shape[:2], self.actions)
    def state(self):
        return {}
    def load_state(self, state):
        pass
"""


def custom(folder: Path, old: str = "", new: str = "") -> RunConfig:
    path = folder / "custom.py"
    path.write_text(CUSTOM.replace(old, new))
    return RunConfig(f"{path}:Method", steps=2, evaluate_every=1, threads=1)


def test_a_custom_algorithm_runs(tiny_data: Open, tmp_path: Path) -> None:
    frame = start(tmp_path / "run", tiny_data, custom(tmp_path)).train()
    assert frame["algorithm"].tolist() == ["custom", "custom"]
    assert (frame["adapted_return"] == frame["unadapted_return"]).all()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("self.actions = family", "1 / 0; self.actions = family", "building custom raised ZeroDivisionError at cus"),
        ('return {"loss"', 'raise KeyError("x"); return {"loss"', "custom.update at step 1 raised KeyError at cus"),
        ('{"loss": torch.zeros(())}', "{}", "custom.update must return a mapping of metrics with 'loss'"),
        ('{"loss": torch.zeros(())}', "None", "custom.update must return a mapping of metrics with 'loss'"),
        ("return lambda", "raise ValueError('no'); return lambda", "custom.adapt raised ValueError at custom.py"),
        ("torch.zeros(*obs", "int(*obs", "the policy of custom raised TypeError at custom.py"),
        ("self.actions)", "self.actions + 1)", r"gave \(2, 20, 7\) .* = \(2, 20, 6\)"),
        ("torch.zeros(*observations.shape[:2], self.actions)", "0", "gave int for observations"),
        ("torch.zeros(*observations", "float('nan') * torch.zeros(*observations", "actions that are not finite"),
    ],
)  # fmt: skip
def test_a_misbehaving_algorithm_gets_one_clear_message(
    tiny_data: Open, tmp_path: Path, old: str, new: str, message: str
) -> None:
    with pytest.raises(AlgorithmError, match=message):
        start(tmp_path / "run", tiny_data, custom(tmp_path, old, new)).train()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"family": "cheetah-val"}, UnknownNameError, "Did you mean 'cheetah-vel'"),
        ({"split": "standrad"}, UnknownNameError, "Did you mean 'standard'"),
        ({"steps": 0}, ConfigError, "steps = 0 is too small"),
        ({"seed": -1}, ConfigError, "seed = -1 is too small"),
        ({"threads": 0}, ConfigError, "threads = 0"),
        ({"device": "tpu9"}, ConfigError, "device 'tpu9' cannot be used here"),
    ],
)
def test_bad_options_are_refused(
    tiny_data: Open, tmp_path: Path, change: dict[str, Any], error: type[BenchmarkError], message: str
) -> None:
    with pytest.raises(error, match=message):
        start(tmp_path / "run", tiny_data, replace(CONFIG, **change))
    assert not (tmp_path / "run").exists()


def test_training_sees_train_tasks_only_and_adaptation_the_context_only(
    tiny_data: Open, tmp_path: Path
) -> None:
    """A split that trains on task 0 and tests on task 1: slots hide numbers, contexts are plain transitions."""
    seen: list[Transitions] = []
    slots: list[int] = []
    run = Run(custom(tmp_path), tmp_path / "run", tiny_data)
    run.prepare(resume=False)
    adapt, update = run.algorithm.adapt, run.algorithm.update

    def spy_adapt(*arguments: Any) -> Any:
        (context,) = arguments
        seen.append(context)
        return adapt(context)

    def spy_update(data: Any) -> Any:
        slots.extend(data.sample_tasks(9).tolist())
        return update(data)

    run.algorithm.adapt, run.algorithm.update = spy_adapt, spy_update  # type: ignore[method-assign]
    run.train()
    assert set(slots) == {0, 1}
    assert {context.size for context in seen} == {0, 256}
    for context in seen:
        assert type(context) is Transitions
        assert set(vars(context)) == set(Transitions.__dataclass_fields__)
