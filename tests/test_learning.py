"""Every built-in method learns to adapt, on `point-robot` and real data, in seconds.

Margins are in units of return. Going to the goal at once gives about -5, standing still -20, the blind reference
(the best single expert of the train tasks) -15.
"""

from pathlib import Path
from typing import Any

import pytest

from benchmark.data.catalog import references
from benchmark.data.dataset import Dataset
from benchmark.registry import METHODS
from benchmark.run_config import RunConfig
from benchmark.training import Run

SMALL_PEARL = {
    "hidden_size": 64, "encoder_hidden_size": 64, "hidden_layers": 2, "tasks_per_step": 8, "batch": 64,
    "context_size": 64, "learning_rate": 1e-3, "target_rate": 0.05, "discount": 0.9,
}  # fmt: skip
"""The published sizes take a minute for 400 steps, and a target that moves by 0.005 needs tens of thousands."""

CASES: dict[str, tuple[int, dict[str, Any], float, float]] = {
    "macaw": (150, {}, 8.0, 4.0),
    "meta-bc": (200, {}, 5.0, 4.0),
    "multitask-awr": (600, {}, 5.0, 4.0),
    "pearl": (1000, SMALL_PEARL, 3.0, 1.5),
}
"""By method: steps, settings, and by how much the adapted policy beats the un-adapted one and the blind reference."""


def test_every_built_in_method_has_a_case() -> None:
    assert set(CASES) == set(METHODS)


@pytest.mark.parametrize("algorithm", CASES)
def test_a_method_learns_to_adapt(algorithm: str, point_robot_data: Dataset, tmp_path: Path) -> None:
    steps, settings, over_unadapted, over_blind = CASES[algorithm]
    config = RunConfig(
        algorithm, family="point-robot", steps=steps, evaluate_every=steps, threads=1, settings=settings
    )
    run = Run(config, tmp_path, lambda tier: point_robot_data)
    run.prepare(resume=False)
    rows = run.train()
    adapted = rows["adapted_return"].mean()
    blind = references("point-robot").blind["standard"].returns
    assert adapted > rows["unadapted_return"].mean() + over_unadapted
    assert adapted > sum(blind) / len(blind) + over_blind
