"""A method of somebody's own in a run: what it is given, and one clear message for what it does wrong."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmark.algorithm import Transitions
from benchmark.data.dataset import Dataset
from benchmark.errors import AlgorithmError
from benchmark.run_config import RunConfig
from benchmark.training import Run
from tests.test_training import start

Open = Callable[[str], Dataset]


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


def test_a_method_gets_slots_in_training_and_plain_transitions_at_test(
    tiny_data: Open, tmp_path: Path
) -> None:
    """No task number reaches it: training addresses slots, a context is transitions and nothing else."""
    seen: list[Transitions] = []
    run = Run(custom(tmp_path), tmp_path / "run", tiny_data)
    run.prepare(resume=False)
    adapt = run.algorithm.adapt

    def spy(*arguments: Any) -> Any:
        (context,) = arguments
        seen.append(context)
        return adapt(context)

    run.algorithm.adapt = spy  # type: ignore[method-assign]
    run.train()
    assert {context.size for context in seen} == {0, 256}
    for context in seen:
        assert type(context) is Transitions
        assert set(vars(context)) == set(Transitions.__dataclass_fields__)


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        (
            '{"loss": torch.zeros(5)}',
            r"gave a tensor of shape \(5,\) as metric 'loss'; metrics must be scalars",
        ),
        ('{"loss": "low"}', "gave 'low' as metric 'loss'"),
        ('{"loss": 0.0, "score": 777.0}', "gave a metric 'score'; that name is the protocol's"),
        ('{"loss": 0.0, "adapted_return_task_1": 7.0}', "that name is the protocol's"),
    ],
)
def test_metrics_that_are_not_scalars_or_the_protocols_are_refused(
    tiny_data: Open, tmp_path: Path, metrics: str, message: str
) -> None:
    with pytest.raises(AlgorithmError, match=message):
        start(tmp_path / "run", tiny_data, custom(tmp_path, '{"loss": torch.zeros(())}', metrics)).train()


def test_metrics_are_averaged_whatever_numbers_they_are(tiny_data: Open, tmp_path: Path) -> None:
    metrics = (
        '{"loss": torch.zeros(()), "half": torch.ones((), dtype=torch.bfloat16), "true": torch.tensor(True)}'
    )
    config = custom(tmp_path, '{"loss": torch.zeros(())}', metrics)
    run = start(tmp_path / "run", tiny_data, replace(config, steps=600, evaluate_every=600))
    run.train()
    assert (run.rows[-1]["half"], run.rows[-1]["true"]) == (1.0, 1.0)


def test_every_step_gives_the_same_metrics(tiny_data: Open, tmp_path: Path) -> None:
    metrics = (
        '{"loss": torch.zeros(()), **({"late": 1.0} if hasattr(self, "once") else {})}; self.once = True'
    )
    config = custom(tmp_path, "return {", "found = {").algorithm
    text = (tmp_path / "custom.py").read_text()
    text = text.replace('found = {"loss": torch.zeros(())}', f"found = {metrics}; return found")
    (tmp_path / "custom.py").write_text(text.replace("found = {}", "return {}"))
    with pytest.raises(AlgorithmError, match="step 2 gives other metrics than the step before: late"):
        start(tmp_path / "run", tiny_data, RunConfig(config, steps=2, evaluate_every=2, threads=1)).train()


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ('{"w": [torch.zeros(1).numpy()]}', "state/w/0 is a value of another type"),
        ('{"w": lambda: 0}', "state/w is a value of another type"),
        ("None", "it is a NoneType"),
        ("1 / 0", "custom.state raised ZeroDivisionError"),
    ],
)
def test_a_state_that_no_checkpoint_can_hold_is_refused(
    tiny_data: Open, tmp_path: Path, state: str, message: str
) -> None:
    with pytest.raises(AlgorithmError, match=message):
        start(tmp_path / "run", tiny_data, custom(tmp_path, "return {}", f"return {state}")).train()


def test_a_policy_may_answer_in_half_precision(tiny_data: Open, tmp_path: Path) -> None:
    config = custom(
        tmp_path, "self.actions)\n    def state", "self.actions, dtype=torch.bfloat16)\n    def state"
    )
    assert "bfloat16" in (tmp_path / "custom.py").read_text()
    start(tmp_path / "run", tiny_data, config).train()
