"""How fast the suite is: raw physics, evaluation, sampling, behaviour updates (pytest-benchmark; make speed)."""

from collections.abc import Callable
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from tests.speed import subjects


@pytest.mark.parametrize("make", subjects.SUITE.values(), ids=list(subjects.SUITE))
def test_suite_speed(benchmark: BenchmarkFixture, make: Callable[[], subjects.Subject]) -> None:
    subject = make()
    benchmark.extra_info["unit"] = subject.unit
    benchmark.extra_info["work per call"] = subject.work
    result: Any = benchmark.pedantic(subject.call, rounds=5, warmup_rounds=1)
    assert result is not None
