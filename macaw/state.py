"""Saving and restoring a method's state: dicts and lists with tensors at the leaves."""

from typing import Any

import torch
from torch import Tensor


class Stateful:
    """`state` and `load_state` of a method that lists in `_state` what it learns with: tensors by name."""

    def state(self) -> dict[str, Any]:
        """Copies of the learned tensors and of the optimizers' moments."""
        return saved(self._state())

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what `state` gave; ValueError where it is of another configuration or incomplete."""
        restore(self._state(), state)

    def _state(self) -> dict[str, Any]:
        """The live tensors."""
        raise NotImplementedError


def saved(state: dict[str, Any]) -> dict[str, Any]:
    """A copy of the state that further training does not touch."""
    return {name: _copy(part) for name, part in state.items()}


def restore(live: dict[str, Any], given: dict[str, Any]) -> None:
    """Write a saved state into the live tensors, bit for bit; the device may differ.

    Raises ValueError, before anything is written, where a part is missing, unknown or of another shape.
    """
    pairs = _pairs(live, given, "state")
    with torch.no_grad():
        for target, source in pairs:
            target.copy_(source)


def _copy(part: Any) -> Any:
    if isinstance(part, Tensor):
        return part.detach().clone()
    if isinstance(part, dict):
        return saved(part)
    return [_copy(each) for each in part]


def _pairs(live: Any, given: Any, where: str) -> list[tuple[Tensor, Tensor]]:
    """Live tensors, each with the given one that belongs to it."""
    if _kind(live) != _kind(given):
        raise ValueError(f"{where}: expected {_kind(live)}, got {_kind(given)}.")
    if isinstance(live, Tensor):
        return [(live, given)]
    if isinstance(live, list):
        live, given = dict(enumerate(live)), dict(enumerate(given))
    if live.keys() != given.keys():
        missing, unknown = sorted(live.keys() - given.keys()), sorted(given.keys() - live.keys())
        raise ValueError(f"{where}: missing {missing}, unknown {unknown}; saved with another configuration?")
    return [pair for name in live for pair in _pairs(live[name], given[name], f"{where}/{name}")]


def _kind(part: Any) -> str:
    if isinstance(part, Tensor):
        return f"a {part.dtype} tensor of shape {tuple(part.shape)}"
    return f"a {type(part).__name__}"
