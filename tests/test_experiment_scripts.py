"""The scripts beside the experiments, on runs whose answers are known."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch

from baselines.pearl import Pearl
from benchmark import files
from benchmark.data.dataset import Dataset
from benchmark.protocol import ContextChoice
from benchmark.run_config import RunConfig
from benchmark.training import Run

SMALL = {"hidden_size": 8, "encoder_hidden_size": 8, "context_size": 16, "batch": 16}


def script_of(name: str) -> ModuleType:
    """The script as a module."""
    path = files.PROJECT / "experiments" / f"{name}.py"
    specification = importlib.util.spec_from_file_location(name, path)
    assert specification is not None
    assert specification.loader is not None
    script = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(script)
    return script


def finished(algorithm: str, folder: Path, open_data: Callable[[str], Dataset], **settings: float) -> Run:
    """A run of one step."""
    run = Run(RunConfig(algorithm, steps=1, threads=1, settings=settings), folder, open_data)
    run.prepare(resume=False)
    run.train()
    return run


def test_what_the_networks_say_and_what_the_policy_earns(
    tmp_path: Path, tiny_data: Callable[[str], Dataset], capsys: pytest.CaptureFixture[str]
) -> None:
    script = script_of("pearl_values")
    assert script.main([str(tmp_path)]) == 2
    assert "is not a finished run of PEARL" in capsys.readouterr().err
    run = finished("pearl", tmp_path / "run", tiny_data, **SMALL)
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


def test_other_contexts_change_what_adapts_alone(tmp_path: Path, tiny_data: Callable[[str], Dataset]) -> None:
    script = script_of("spread")
    blind = finished("behaviour-cloning", tmp_path / "blind", tiny_data, hidden_size=8)
    usual, contexts, states, unadapted = script.findings(blind, 2)
    rows = blind.evaluator.evaluate(blind.tested.now(), ContextChoice())
    assert usual == f"the usual test: {rows.adapted.mean():.1f}, un-adapted {rows.unadapted.mean():.1f}"
    assert contexts.count("± 0.0") == 3
    assert states.count("± 0.0") < 3
    assert states.partition(":")[2] == unadapted.partition(":")[2]
    adapting = finished("meta-bc", tmp_path / "adapting", tiny_data, hidden_size=8, inner_lr=1.0)
    _, contexts, states, unadapted = script.findings(adapting, 2)
    assert contexts.count("± 0.0") < 3
    assert states.partition(":")[2] != unadapted.partition(":")[2]


def test_the_spread_of_a_run_from_its_folder(
    tmp_path: Path, point_robot_data: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    script = script_of("spread")
    assert script.main([str(tmp_path)]) == 2
    assert "config.toml" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        script.main([str(tmp_path), "--draws", "1"])
    assert "it takes 2 at least to differ" in capsys.readouterr().err
    config = RunConfig("behaviour-cloning", "point-robot", steps=1, threads=1, settings={"hidden_size": 8})
    run = Run(config, tmp_path / "run", lambda tier: point_robot_data)
    run.prepare(resume=False)
    run.train()
    assert script.main([str(run.folder), "--draws", "2"]) == 0
    assert "the usual test: " in capsys.readouterr().out
    (run.folder / "config.toml").write_text("steps = 2 =")
    assert script.main([str(run.folder)]) == 2
    assert "cannot be read" in " ".join(capsys.readouterr().err.split())
