"""The script that holds offline PEARL's values against what its policy earns, on networks whose outputs are known."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from baselines.pearl import Pearl
from benchmark import files
from benchmark.data.dataset import Dataset
from benchmark.run_config import RunConfig
from benchmark.training import Run

SCRIPT = files.PROJECT / "experiments" / "pearl_values.py"
SMALL = {"hidden_size": 8, "encoder_hidden_size": 8, "context_size": 16, "batch": 16}


def test_what_the_networks_say_and_what_the_policy_earns(
    tmp_path: Path, tiny_data: Callable[[str], Dataset], capsys: pytest.CaptureFixture[str]
) -> None:
    specification = importlib.util.spec_from_file_location("pearl_values", SCRIPT)
    assert specification is not None
    assert specification.loader is not None
    script = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(script)
    assert script.main([str(tmp_path)]) == 2
    assert "is not a finished run of PEARL" in capsys.readouterr().err
    run = Run(RunConfig("pearl", steps=1, threads=1, settings=SMALL), tmp_path / "run", tiny_data)
    run.prepare(resume=False)
    run.train()
    method = run.tested.now()
    assert isinstance(method, Pearl)
    with torch.no_grad():
        for layers, outputs in ((method._value, [7.0]), (method._critics, [5.0, 3.0])):
            kernel, bias = layers[-1]
            kernel.zero_()
            bias.copy_(torch.tensor(outputs).view(-1, 1, 1))
    lines = script.findings(run, method)
    assert len(lines) == 5
    assert "V of first states 7," in lines[1]
    assert (
        "min Q of recorded states: 3 for recorded actions, 3 for the policy's, which are higher in 0.0 %"
        in lines[4]
    )
