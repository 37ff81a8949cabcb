"""MACAW meta-trains and is tested on every family's own physics, at tiny sizes, also where no data ship yet."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmark import evaluation, families, training
from benchmark.data.record import Recording, record
from benchmark.data.references import Blind, References
from benchmark.families.family import BodyFamily, Family
from benchmark.protocol import ContextChoice
from benchmark.run_config import RunConfig
from tests.data.synthetic import random_snapshots

TINY = {"hidden_size": 8, "hidden_layers": 2, "latent_size": 4, "inner_batch": 16, "outer_batch": 16}
BODIES = [name for name in families.FAMILIES if isinstance(families.family(name), BodyFamily)]


def made_up_references(family: Family) -> References:
    zeros, ones = (0.0,) * family.tasks, (1.0,) * family.tasks
    blind = {name: Blind(split.train[0], (0.5,) * len(split.test)) for name, split in family.splits.items()}
    return References(random=zeros, expert=ones, still=zeros, blind=blind)


@pytest.mark.parametrize("name", BODIES)
def test_two_hundred_steps(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    family = families.family(name)
    snapshots = random_snapshots(family, count=2)
    size = max(100, family.horizon)
    data = record(Recording(family, snapshots, "mixed", size), f"omrl/{name}/mixed-v1", threads=1)
    assert data.rows >= family.tasks * size / 2
    monkeypatch.setattr(training, "references", lambda asked: made_up_references(family))
    monkeypatch.setattr(evaluation, "EPISODES", 2)
    config = RunConfig("macaw", family=name, steps=200, evaluate_every=200, threads=1, settings=TINY)
    config = replace(config, contexts=(ContextChoice("mixed", 64),))
    run = training.Run(config, tmp_path, lambda tier: data)
    run.prepare(resume=False)
    rows = run.train()
    assert rows["task"].tolist() == list(family.split("standard").test)
    assert (rows["adapted_return"] != rows["unadapted_return"]).all(), "the context changed nothing"
