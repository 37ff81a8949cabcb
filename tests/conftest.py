"""Options of the whole suite, and shape checking of annotated functions while tests run."""

from pathlib import Path

import pytest
from jaxtyping import install_import_hook

install_import_hook(["macaw", "baselines"], "beartype.beartype")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--golden",
        type=Path,
        default=Path(__file__).parent / "golden",
        help="folder of recordings of the authors' program to replay (default: the shipped ones)",
    )
