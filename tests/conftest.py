"""Options of the whole suite, and shape checking of annotated functions while tests run."""

from pathlib import Path
from typing import runtime_checkable

import pytest
from jaxtyping import install_import_hook

from benchmark.algorithm import TrainingData

runtime_checkable(TrainingData)  # the type checker looks at instances, which plain protocols do not allow
install_import_hook(["macaw", "baselines"], "beartype.beartype")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--golden",
        type=Path,
        default=Path(__file__).parent / "golden",
        help="folder of recordings of the authors' program to replay (default: the shipped ones)",
    )
