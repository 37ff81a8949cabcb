"""A small experiment on `point-robot`, and what it gives when nothing disturbs it."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmark.cli import main

PROJECT = Path(__file__).parents[2]
EXPERIMENT = """
[[runs]]
algorithm = ["macaw", "meta-bc"]
family = "point-robot"
seeds = [0]
steps = 210
evaluate_every = 50
name = "tiny"
set = { hidden_size = 8, hidden_layers = 2, latent_size = 4, inner_batch = 16, outer_batch = 16 }
"""
FOLDERS = ("tiny/point-robot/macaw/seed-0", "tiny/point-robot/meta-bc/seed-0")


@pytest.fixture
def experiment(tmp_path: Path, point_robot_data: object) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(EXPERIMENT)
    return path


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, point_robot_data: object) -> Path:
    """The folder of the experiment, done at once."""
    folder = tmp_path_factory.mktemp("undisturbed")
    path = folder / "small.toml"
    path.write_text(EXPERIMENT)
    assert main(["sweep", str(path), "--out", str(folder / "out"), "--workers", "2"]) == 0
    return folder / "out"


def assert_same(out: Path, undisturbed: Path, folders: Sequence[str] = FOLDERS) -> None:
    """Result rows and learning curves of the runs agree byte for byte, and nothing half-made is left."""
    for folder in folders:
        assert {path.name for path in (out / folder).iterdir()} == {
            "config.toml", "metrics.csv", "timing.csv", "result.csv", "checkpoint",
        }  # fmt: skip
        for name in ("result.csv", "metrics.csv"):
            assert (out / folder / name).read_bytes() == (undisturbed / folder / name).read_bytes()


def driver(*arguments: str, **options: Any) -> "subprocess.Popen[str]":
    """A sweep in a process of its own, as a user starts it."""
    environment = os.environ | {"PYTHONPATH": str(PROJECT), "COLUMNS": "200"}
    return subprocess.Popen(
        [sys.executable, "-m", "benchmark", "sweep", *arguments], env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, **options,
    )  # fmt: skip


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.02)


def checkpoints(out: Path) -> list[Path]:
    return list(out.glob("tiny/*/*/*/checkpoint/latest.json"))
