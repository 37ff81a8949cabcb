"""Collecting behaviour: it resumes exactly, refuses what does not fit, and improves on random actions."""

import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmark.data.collect import CollectConfig, Worker, collect, gather
from benchmark.data.sac import SacConfig
from benchmark.errors import CheckpointError, ConfigError, RunError

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
    assert_same(whole, resumed)


def assert_same(whole: Worker, resumed: Worker) -> None:
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
    with pytest.raises(ConfigError, match="seed is -1; choose 0"):
        replace(TINY, seed=-1)


def test_a_worker_stopped_at_any_step_goes_on_bit_for_bit(tmp_path: Path) -> None:
    whole = run(TINY, tmp_path / "whole")
    for stop in (1, 9, 10, 37, 38, 99, 100):
        worker = Worker(TINY, 0, tmp_path / "stopped")
        worker.load()
        worker.run(asked_to_stop=lambda worker=worker, stop=stop: worker.step >= stop)
        assert worker.step == stop
    resumed = Worker(TINY, 0, tmp_path / "stopped")
    resumed.load()
    assert resumed.step == 100
    assert_same(whole, resumed)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.1)


def running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def worker_processes(parent: int) -> list[int]:
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [int(one) for one in children if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes()]


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
    command = [sys.executable, "-m", "benchmark", "data", "collect", "--family", "cheetah-dir"]
    parent = subprocess.Popen(
        [*command, "--out", str(tmp_path)], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    out = tmp_path / "cheetah-dir"
    workers: list[int] = []
    try:
        wait_until(lambda: len(list(out.glob("worker-*.csv"))) == 2, "both workers write their logs")
        workers = worker_processes(parent.pid)
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
        worker = Worker(CollectConfig("cheetah-dir"), number, out)
        worker.load()
        assert worker.step >= 1000


def test_a_failed_worker_ends_the_others(tmp_path: Path) -> None:
    long = replace(TINY, steps=100_000)
    (tmp_path / "worker-1.pt").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match=r"worker-1\.pt cannot be read"):
        collect(long, tmp_path)
    assert not multiprocessing.active_children()
    other = Worker(long, 0, tmp_path)
    other.load()
    assert 0 < other.step < 100_000


def test_a_killed_worker_ends_the_others(tmp_path: Path) -> None:
    def kill_one(step: int) -> None:
        multiprocessing.active_children()[0].kill()

    with pytest.raises(RunError, match=r"worker \d was killed by SIGKILL .*the same command goes on"):
        collect(replace(TINY, steps=100_000), tmp_path, progress=kill_one)
    assert not multiprocessing.active_children()


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match=r"file/cheetah-dir cannot be written: .*Choose another --out"):
        collect(TINY, tmp_path / "file" / "cheetah-dir")


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """A file-size limit makes writes fail half way, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    worker = run(TINY, tmp_path, stop=50)
    del worker.save
    before = worker.path.read_bytes()
    with (
        full_disk(5_000),
        pytest.raises(RunError, match=r"worker-0\.pt of step 50 cannot be written") as failed,
    ):
        worker.save()
    assert "The last checkpoint stays; free some space, then the same command goes on." in str(failed.value)
    assert worker.path.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["worker-0.pt"]


def test_a_log_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "worker-0.csv").mkdir()
    with pytest.raises(
        RunError, match=r"worker-0\.csv cannot be written at step 1000.*no earlier checkpoint"
    ):
        Worker(replace(TINY, steps=2000), 0, tmp_path).run()
