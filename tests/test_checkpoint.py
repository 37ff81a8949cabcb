"""Checkpoints: atomic, checked, and never lost to the next one's failure."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmark.checkpoint import Checkpoints
from benchmark.errors import CheckpointError, RunError
from benchmark.run_config import differences

CPU = torch.device("cpu")
IDENTITY = {"algorithm": "macaw", "seed": 0}


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    saved = Checkpoints(tmp_path, IDENTITY)
    saved.save(1, {"weights": torch.arange(1000.0), "nested": {"rows": [1, 2.5, "x"]}})
    return saved


def state_file(checkpoints: Checkpoints) -> Path:
    (path,) = checkpoints.folder.glob("*.pt")
    return path


def test_round_trip(checkpoints: Checkpoints) -> None:
    state = checkpoints.load(CPU)
    assert torch.equal(state["weights"], torch.arange(1000.0))
    assert state["nested"] == {"rows": [1, 2.5, "x"]}


def test_only_the_last_one_is_kept(checkpoints: Checkpoints) -> None:
    checkpoints.save(2, {"weights": torch.ones(3)})
    assert state_file(checkpoints).name == "step-00000002.pt"
    assert torch.equal(checkpoints.load(CPU)["weights"], torch.ones(3))


@pytest.mark.parametrize("position", [0, 100, 2000, -1])
def test_a_flipped_byte_is_found(checkpoints: Checkpoints, position: int) -> None:
    path = state_file(checkpoints)
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"step-00000001\.pt is damaged.*--out"):
        checkpoints.load(CPU)


def test_a_truncated_file_is_found(checkpoints: Checkpoints) -> None:
    path = state_file(checkpoints)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="damaged or was cut short"):
        checkpoints.load(CPU)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"file": "step-00000001.pt"}', '{"file": "../x", "sha256": ""}']
)
def test_a_damaged_manifest_is_found(checkpoints: Checkpoints, text: str) -> None:
    (checkpoints.folder / "latest.json").write_text(text)
    with pytest.raises(CheckpointError, match="is damaged"):
        checkpoints.load(CPU)


def test_a_missing_state_file_is_found(checkpoints: Checkpoints) -> None:
    state_file(checkpoints).unlink()
    with pytest.raises(CheckpointError, match="is damaged"):
        checkpoints.load(CPU)


def test_another_configuration_is_refused_and_named(checkpoints: Checkpoints) -> None:
    other = Checkpoints(checkpoints.folder, {**IDENTITY, "seed": 7})
    with pytest.raises(CheckpointError, match="belongs to another configuration .seed: 0 there, 7 here"):
        other.load(CPU)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_state_that_is_not_finite_is_not_saved(checkpoints: Checkpoints, bad: float) -> None:
    with pytest.raises(RunError, match="state/deep/0 is not finite at step 2.*step 1 stays"):
        checkpoints.save(2, {"deep": [torch.tensor([1.0, bad])]})
    assert torch.equal(checkpoints.load(CPU)["weights"], torch.arange(1000.0))


def test_a_full_disk_leaves_the_last_checkpoint(checkpoints: Checkpoints) -> None:
    """A file-size limit makes the writes fail half way, as a full disk does."""
    program = f"""
import resource, sys, torch
from pathlib import Path
from benchmark.checkpoint import Checkpoints
from benchmark.errors import RunError
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    Checkpoints(Path({str(checkpoints.folder)!r}), {IDENTITY!r}).save(2, {{"weights": torch.randn(100_000)}})
except RunError as error:
    sys.exit(str(error))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "the checkpoint of step 2 cannot be written" in done.stderr
    assert "The checkpoint of step 1 stays" in done.stderr
    assert "Free some space; then `run --resume`, or the same `sweep`, goes on." in done.stderr
    assert torch.equal(checkpoints.load(CPU)["weights"], torch.arange(1000.0))
    assert {path.name for path in checkpoints.folder.iterdir()} == {"latest.json", "step-00000001.pt"}


def test_a_kill_between_state_and_manifest_leaves_the_last_checkpoint(checkpoints: Checkpoints) -> None:
    (checkpoints.folder / "step-00000002.pt").write_bytes(b"half")
    (checkpoints.folder / ".latest.json.123.part").write_text("{")
    assert json.loads((checkpoints.folder / "latest.json").read_text())["step"] == 1
    assert torch.equal(checkpoints.load(CPU)["weights"], torch.arange(1000.0))
    checkpoints.save(2, {"weights": torch.ones(3)})
    assert torch.equal(checkpoints.load(CPU)["weights"], torch.ones(3))
    assert {path.name for path in checkpoints.folder.glob("step*")} == {"step-00000002.pt"}
    checkpoints.save(3, {"weights": torch.arange(1000.0)})
    assert torch.equal(checkpoints.load(CPU)["weights"], torch.arange(1000.0))


@pytest.mark.parametrize(
    ("stored", "wanted", "expected"),
    [
        ({"seed": 0, "a": {"b": 1, "c": 2}}, {"seed": 0, "a": {"b": 1, "c": 3}}, ["c: 2 there, 3 here"]),
        ({"seed": 0}, {"seed": 1}, ["seed: 0 there, 1 here"]),
        ({"a": {"b": None}}, {"a": {}}, ["a: {'b': None} there, {} here"]),
        ({"a": {"b": 1}}, {"a": {"b": 1}}, []),
    ],
)
def test_only_what_differs_is_named(
    stored: dict[str, object], wanted: dict[str, object], expected: list[str]
) -> None:
    assert differences(stored, wanted) == expected
