"""What both HDF5 formats refuse alike, and that an error of this project's own is not taken for a damaged file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark.data.dataset import Dataset
from benchmark.data.exchange import d4rl, macaw
from benchmark.data.exchange.checks import Check
from benchmark.errors import DataError
from benchmark.families.family import Family
from tests.data.exchange.conftest import by_name
from tests.data.exchange.writers import macaw_columns, write_hdf5

FORMATS: dict[str, Any] = {"macaw": macaw, "d4rl": d4rl}


@pytest.fixture(params=FORMATS)
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def columns(form: str, cheetah_data: Dataset) -> dict[str, Any]:
    """Task 0 of cheetah-dir: eight episodes of 200 steps."""
    if form == "macaw":
        return macaw_columns(cheetah_data, 0)
    stored = d4rl.task_columns(cheetah_data, cheetah_data.episodes_of_task(0))
    return {name: values.copy() for name, values in stored.items()}


@pytest.fixture
def read(form: str, columns: dict[str, Any], tmp_path: Path) -> Callable[[Family], dict[str, Check]]:
    """Writes the columns as they are by then, and reads them as data of the family; gives what was checked."""

    def checks(family: Family) -> dict[str, Check]:
        files = {0: write_hdf5(tmp_path / "theirs.hdf5", columns)}
        (portion,) = FORMATS[form].read_portions(family, files)
        return by_name(portion.checks)

    return checks


@pytest.mark.parametrize("value", [1e30, -2.01])
def test_actions_in_other_units_are_refused(
    columns: dict[str, Any], read: Callable[..., Any], cheetah: Family, value: float
) -> None:
    columns["actions"][[70, 90], 1] = 2.005, value
    found = r"theirs.hdf5: actions must be in \(-1, 1\), but in 2 row\(s\) absolute values are above 2: "
    first = f"the first is row 70 with 2.005, the largest is {abs(value):.4g}".replace("+", r"\+")
    with pytest.raises(DataError, match=f"{found}{first}.*divide them by the actuators' range"):
        read(cheetah)


@pytest.mark.parametrize("value", [1.001, -2.0])
def test_actions_a_little_out_of_the_range_are_a_line_of_the_report(
    columns: dict[str, Any], read: Callable[..., Any], cheetah: Family, value: float
) -> None:
    columns["actions"][70, 1] = value
    found = read(cheetah)["actions"]
    assert (found.disagree, found.largest) == (1, pytest.approx(abs(value) - 1, rel=1e-3))


def test_episodes_longer_than_the_familys_are_refused(
    form: str, read: Callable[..., Any], falling: Family
) -> None:
    advice = {"macaw": r"as pieces: .* \(--from d4rl\), with 1 in timeouts", "d4rl": "Put 1 into timeouts"}[
        form
    ]
    longer = f"an episode of 200 steps, and those of cheetah-dir-v1 have 30 at most.*{advice}"
    with pytest.raises(DataError, match=f"theirs.hdf5: it has {longer}"):
        read(falling)


@pytest.mark.parametrize("step", ["columns_of", "common_checks", "check_lengths"])
@pytest.mark.parametrize("error", [ValueError, TypeError])
def test_an_error_of_this_projects_own_is_not_taken_for_a_damaged_file(
    form: str, read: Callable[..., Any], cheetah: Family, monkeypatch: pytest.MonkeyPatch, step: str,
    error: type[Exception],
) -> None:  # fmt: skip
    def mistaken(*_: object) -> None:
        raise error("operands could not be broadcast together")

    monkeypatch.setattr(FORMATS[form], step, mistaken)
    with pytest.raises(error, match="could not be broadcast"):
        read(cheetah)
