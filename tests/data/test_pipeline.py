"""The whole way of a new family's data, as a maintainer goes it: collect, measure, record, train. On point-robot."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmark import families, files
from benchmark.cli import main
from benchmark.data import catalog, dataset, standardise
from benchmark.data.recipe import recipe_path
from benchmark.data.snapshots import shipped_path

RECIPE = """
family = "point-robot"
steps = 6000
shares = 2
[sac]
actor_hidden_size = 16
critic_hidden_size = 32
environments = 4
batch_size = 64
random_steps = 200
"""


def test_from_a_recipe_to_a_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "DATASETS", tmp_path / "datasets")
    monkeypatch.setitem(dataset.SIZES, "small", 600)
    family = ["--family", "point-robot"]
    recipe_path("point-robot").parent.mkdir(parents=True)
    recipe_path("point-robot").write_text(RECIPE)
    assert main(["data", "collect", *family, "--out", str(tmp_path / "collect")]) == 0
    shipped_path("point-robot").parent.mkdir(parents=True)
    made = tmp_path / "collect" / "point-robot" / "point-robot.safetensors"
    made.rename(shipped_path("point-robot"))
    assert main(["data", "catalog", *family, "--sizes", "small"]) == 0
    references = catalog.references("point-robot")
    assert sum(references.expert) / 20 > sum(references.random) / 20 + 8, "the agents have not learned"
    measured = catalog.entry(families.family("point-robot"))
    catalog.write_entry(families.family("point-robot"), replace(measured, hashes={}))
    with monkeypatch.context() as patch:
        patch.setattr(standardise, "measure", None)
        assert main(["data", "catalog", *family, "--sizes", "small", "--hashes-only"]) == 0
    assert catalog.entry(families.family("point-robot")) == measured
    with monkeypatch.context() as patch:  # nor are hashes that are there
        patch.setattr(standardise, "record_standard", None)
        assert main(["data", "catalog", *family, "--sizes", "small", "--hashes-only"]) == 0
    assert main(["data", "card", *family]) == 0
    assert (
        "6,000 environment steps in each task"
        in (tmp_path / "datasets" / "cards" / "point-robot.md").read_text()
    )
    short = ["--steps", "3", "--evaluate-every", "3", "--set", "hidden_size=8", "latent_size=4"]
    assert main(["run", "--algo", "macaw", *family, *short, "--out", str(tmp_path / "runs")]) == 0
    assert main(["data", "verify", *family]) == 0


PEAK = """
import sys
from benchmark.cli import main
from benchmark.memory import peak_memory_mib
assert main(sys.argv[1:]) == 0
print(peak_memory_mib())
"""


def test_a_task_of_full_size_is_recorded_in_little_memory(tmp_path: Path) -> None:
    """Of 4 GiB that the largest families may take; this one, of two tasks, takes some 220 MiB."""
    places = {"MINARI_DATASETS_PATH": str(tmp_path / "minari"), "OMRL_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-c", PEAK, "data", "record", "--family", "cheetah-dir", "--size", "full"]
    done = subprocess.run(command, env={**os.environ, **places}, capture_output=True, text=True, check=True)
    assert int(done.stdout.split()[-1]) < 400
