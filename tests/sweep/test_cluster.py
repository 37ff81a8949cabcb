"""Sweeps and collecting on a Ray cluster of two nodes: the same files, also when a node dies in the middle."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmark.data.collect import collect
from benchmark.data.recipe import Recipe
from benchmark.data.sac import SacConfig
from benchmark.errors import RunError
from benchmark.locks import in_use
from benchmark.workers import Job
from tests.sweep.conftest import PROJECT, assert_same, checkpoints, driver, wait_until

pytest.importorskip("ray", reason="Ray is not installed: pip install -e '.[ray]' -c constraints.txt")


@dataclass
class TwoNodes:
    cluster: Any
    node: Any
    """The one that can be killed; drivers are at the other."""

    @property
    def address(self) -> str:
        return str(self.cluster.address)


@pytest.fixture(scope="module")
def nodes(point_robot_data: object) -> Iterator[TwoNodes]:
    """The module's one cluster, which no process of the tests but the drivers connects to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_worker_niceness", "0")  # else the workers wait for everything else on this machine
        from ray.cluster_utils import Cluster

        options = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
        cluster = Cluster(initialize_head=True, head_node_args=options)
        yield TwoNodes(cluster, cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20))
        cluster.shutdown()


def steps(out: Path) -> list[int]:
    return [json.loads(one.read_text())["step"] for one in checkpoints(out)]


def test_shares_are_trained_by_the_cluster(nodes: TwoNodes, tmp_path: Path) -> None:
    small = SacConfig(actor_hidden_size=8, critic_hidden_size=12, batch_size=8, random_steps=10)
    recipe = Recipe("cheetah-dir", steps=100, shares=2, sac=small)
    (tmp_path / "recipe.toml").write_text(recipe.to_toml())
    command = ["data", "collect", "--family", "cheetah-dir", "--recipe", str(tmp_path / "recipe.toml")]
    done = subprocess.run(
        [sys.executable, "-m", "benchmark", *command, "--out", str(tmp_path), "--ray", nodes.address],
        capture_output=True, text=True, cwd=PROJECT, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    here = collect(recipe, tmp_path / "here", processes=1)
    for number in range(2):
        name = f"share-{number}.safetensors"
        assert (tmp_path / "cheetah-dir" / name).read_bytes() == (tmp_path / "here" / name).read_bytes()
    assert here.tasks == 2


def test_a_cluster_whose_drivers_are_killed_and_interrupted_and_whose_node_dies_gives_the_same(
    nodes: TwoNodes, undisturbed: Path, experiment: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    options = (str(experiment), "--out", str(out), "--ray", nodes.address)
    with driver(*options) as process:
        wait_until(lambda: len(checkpoints(out)) == 2, "both nodes work")
        process.kill()
        process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    wait_until(lambda: not any(in_use(lock.parent) for lock in out.rglob(".lock")), "its workers end with it")
    at_its_end = steps(out)
    with driver(*options) as process:
        wait_until(lambda: sum(steps(out)) > sum(at_its_end), "the nodes work for the second driver")
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=240)
    assert process.returncode == 130, errors
    assert "The same command goes on." in errors
    before = steps(out)
    assert not list(out.rglob(".lock")), "workers that end their step and save leave no lock, killed ones do"
    with driver(*options) as process:
        wait_until(lambda: sum(steps(out)) > sum(before), "a node goes on")
        nodes.cluster.remove_node(nodes.node, allow_graceful=False)
        output, errors = process.communicate(timeout=400)
    assert process.returncode == 0, output + errors
    assert_same(out, undisturbed)


def test_a_node_that_does_not_see_the_folder_refuses(tmp_path: Path) -> None:
    from benchmark.workers.cluster import _mark, _serve

    touched = tmp_path / "touched"
    job = Job("seed-0", lambda asked_to_stop: touched.touch())
    mark = _mark(tmp_path)
    assert mark == _mark(tmp_path), "a second driver keeps the first one's mark"
    for folder, its_mark in ((tmp_path / "elsewhere", mark), (tmp_path, "another")):
        error = _serve(job, folder, its_mark, tmp_path)
        assert isinstance(error, RunError)
        assert "does not see the folder" in str(error)
        assert "Choose an --out that all nodes of the cluster share" in str(error)
    assert not touched.exists()
