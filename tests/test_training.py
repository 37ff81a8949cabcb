"""A run: the loop, its files, what survives a kill, and what happens when a method misbehaves."""

import os
import signal
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from benchmark.data.dataset import Dataset
from benchmark.errors import (
    BenchmarkError,
    CheckpointError,
    ConfigError,
    RunError,
    UnknownNameError,
)
from benchmark.interruption import Interrupted
from benchmark.protocol import ContextChoice
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


def test_a_full_disk_says_how_runs_and_sweeps_go_on(tiny_data: Open, tmp_path: Path) -> None:
    run = start(tmp_path, tiny_data)
    advice = "Free some space; then `run --resume`, or the same `sweep`, goes on"
    for name in ("metrics.csv", "result.csv"):
        (tmp_path / name).mkdir()  # cannot be replaced by a file
    with pytest.raises(RunError, match=f"cannot be written.*There is no earlier checkpoint. {advice}"):
        run._write_curves()
    run.step = run.config.steps
    with pytest.raises(RunError, match=f"result.csv cannot be written.*{advice}"):
        run.finish(lambda: None)


def test_a_run_is_never_overwritten(tiny_data: Open, tmp_path: Path) -> None:
    start(tmp_path, tiny_data).train()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(RunError, match="holds a finished run.*--out"):
        start(tmp_path, tiny_data)
    for change, message in [
        ({"seed": 1}, "seed: 0 there, 1 here"),
        ({"settings": {**SMALL, "latent_size": 5}}, r"\(latent_size: 4 there, 5 here\)"),
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


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"family": "cheetah-val"}, UnknownNameError, "Did you mean 'cheetah-vel'"),
        ({"split": "standrad"}, UnknownNameError, "Did you mean 'standard'"),
        ({"steps": 0}, ConfigError, "steps = 0 is too small"),
        ({"seed": -1}, ConfigError, "seed = -1 is too small"),
        ({"seed": 2**63}, ConfigError, f"seed = {2**63} is too large: it takes {2**63 - 1} or less"),
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


def test_nothing_of_the_test_tasks_reaches_training(tmp_path: Path) -> None:
    """Two runs on cheetah-vel whose data differ in the test tasks, where one has NaN, train to the same bits."""
    random = np.random.default_rng(0)
    rows = 40 * 400
    clean = Dataset(
        id="omrl/cheetah-vel/mixed-v1",
        observations=random.normal(size=(rows + 80, 20)).astype(np.float32),
        actions=random.uniform(-1, 1, size=(rows, 6)).astype(np.float32),
        rewards=random.normal(size=rows).astype(np.float32),
        log_probs=np.zeros(rows, np.float32),
        tasks=np.repeat(np.arange(40, dtype=np.int32), 2),
        snapshots=np.zeros(80, np.int32),
        lengths=np.full(80, 200, np.int32),
        terminated=np.zeros(80, np.bool_),
    )
    dirty = replace(clean, observations=clean.observations.copy(), rewards=clean.rewards.copy())
    for task in (2, 7, 15, 23, 26):
        dirty.observations[402 * task : 402 * (task + 1)] = np.nan
        dirty.rewards[400 * task : 400 * (task + 1)] = np.nan
    states = []
    for name, data in (("clean", clean), ("dirty", dirty)):
        run = Run(replace(CONFIG, family="cheetah-vel"), tmp_path / name, lambda tier, data=data: data)  # type: ignore
        for _ in range(30):
            run._one_step()
        states.append(flat(run.algorithm.state()))
    for mine, theirs in zip(*states, strict=True):
        assert torch.isfinite(mine).all()
        assert torch.equal(mine, theirs)


def test_the_curve_ends_where_the_result_is(
    whole: Callable[[Open], Run], tiny_data: Open, tmp_path: Path
) -> None:
    """A last step between two evaluations gets a row of its own, which a longer run does not keep."""
    start(tmp_path, tiny_data, replace(CONFIG, steps=13)).train()
    metrics = pd.read_csv(tmp_path / "metrics.csv")
    rows = read_rows(tmp_path / "result.csv")
    assert metrics["step"].tolist() == [10, 13]
    assert metrics["adapted_return"].iloc[-1] == pytest.approx(rows["adapted_return"].mean(), abs=1e-3)
    resumed = start(tmp_path, tiny_data, resume=True)
    resumed.train()
    assert_same(whole(tiny_data), resumed)


def test_contexts_are_drawn_before_training(tiny_data: Open, tmp_path: Path) -> None:
    too_long = replace(CONFIG, contexts=(ContextChoice(), ContextChoice("mixed", 601)))
    with pytest.raises(ConfigError, match="context of 601 transitions: task 0 .* has 600"):
        start(tmp_path / "run", tiny_data, too_long)
    assert not (tmp_path / "run").exists()
    with pytest.raises(ConfigError, match="different from one another"):
        replace(CONFIG, contexts=(ContextChoice("online", 100), ContextChoice("online", 150)))


def test_a_finished_run_can_be_tested_with_more_contexts(tiny_data: Open, tmp_path: Path) -> None:
    first = start(tmp_path, tiny_data, replace(CONFIG, steps=10)).train()
    more = replace(CONFIG, steps=10, contexts=(ContextChoice(), ContextChoice("late", 64)))
    rows = start(tmp_path, tiny_data, more, resume=True).train()
    assert rows["context"].tolist() == ["mixed", "mixed", "late", "late"]
    pd.testing.assert_frame_equal(rows[:2], first)


def test_tests_of_a_finished_run_stay_until_it_is_trained_on(tiny_data: Open, tmp_path: Path) -> None:
    def tested(steps: int, *contexts: ContextChoice) -> list[str]:
        config = replace(CONFIG, steps=steps, contexts=(ContextChoice(), *contexts))
        start(tmp_path, tiny_data, config, resume=(tmp_path / "config.toml").exists()).train()
        return read_rows(tmp_path / "result.csv")["context"].tolist()[::2]

    late, early = ContextChoice("late", 64), ContextChoice("early", 64)
    assert tested(10, late) == ["mixed", "late"]
    whole = read_rows(tmp_path / "result.csv")
    assert tested(10, early) == ["mixed", "early", "late"]
    stored = tomllib.loads((tmp_path / "config.toml").read_text())
    assert stored["contexts"] == ["mixed:256", "early:64", "late:64"]
    kept = read_rows(tmp_path / "result.csv").query("context != 'early'").reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, whole)
    (tmp_path / "result.csv").write_text("half a")
    with pytest.raises(RunError, match="result.csv has the columns .* Delete .*result.csv: the same command"):
        tested(10, early)
    (tmp_path / "result.csv").unlink()
    assert tested(20, early) == ["mixed", "early"]


def test_what_is_left_of_another_run_is_not_resumed(tiny_data: Open, tmp_path: Path) -> None:
    start(tmp_path / "a", tiny_data)
    with pytest.raises(RunError, match="start of another run .other seed."):
        start(tmp_path / "a", tiny_data, replace(CONFIG, seed=1), resume=True)
    start(tmp_path / "a", tiny_data, resume=True)
    (tmp_path / "a" / "result.csv").write_text("")
    with pytest.raises(RunError, match="holds results but no checkpoint"):
        start(tmp_path / "a", tiny_data, resume=True)
    (tmp_path / "b" / "checkpoint").mkdir(parents=True)
    with pytest.raises(RunError, match="holds an unfinished run"):
        start(tmp_path / "b", tiny_data)


def test_a_run_that_goes_on_has_no_result_until_it_is_done(tiny_data: Open, tmp_path: Path) -> None:
    start(tmp_path, tiny_data, replace(CONFIG, steps=10)).train()
    longer = start(tmp_path, tiny_data, resume=True)

    def die(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        longer.train(die)
    assert not (tmp_path / "result.csv").exists()
