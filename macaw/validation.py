"""Checks of configuration values, with messages that say field, value and what is allowed."""

import math
from typing import Any, get_args


def check_range(config: Any, minimum: float, maximum: float, *fields: str) -> None:
    """ValueError unless minimum <= value <= maximum for every field."""
    for field in fields:
        _check(config, field, minimum <= getattr(config, field) <= maximum, f"from {minimum} to {maximum}")


def check_positive(config: Any, *fields: str) -> None:
    """ValueError unless every field is a finite number above zero."""
    for field in fields:
        value = getattr(config, field)
        _check(config, field, value > 0 and math.isfinite(value), "a finite number above 0")


def check_count(config: Any, minimum: int, *fields: str) -> None:
    """ValueError unless every field is a whole number of at least `minimum`."""
    for field in fields:
        value = getattr(config, field)
        whole = isinstance(value, int) and not isinstance(value, bool)
        _check(config, field, whole and value >= minimum, f"a whole number of at least {minimum}")


def check_choice(config: Any, field: str, choices: Any) -> None:
    """ValueError unless the field is one of the choices of a Literal."""
    known = get_args(choices)
    _check(config, field, getattr(config, field) in known, f"one of {', '.join(map(repr, known))}")


def _check(config: Any, field: str, holds: bool, allowed: str) -> None:
    if not holds:
        raise ValueError(f"{field} is {getattr(config, field)!r}, but must be {allowed}.")
