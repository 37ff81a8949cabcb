"""Comparing what a method answers: actions, and whatever lies in nested dicts and lists of tensors."""

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmark.contract.subject import Broken

TOLERANCE = 1e-4
"""Largest difference of actions that sums in another order may make."""


def same(what: str, found: Tensor, expected: Tensor) -> None:
    """Raise Broken where actions differ by more than TOLERANCE."""
    difference = float((found - expected).abs().max())
    if not difference <= TOLERANCE:
        raise Broken(f"{what}: by up to {difference:.3g}")


def leaves(value: Any, path: str = "") -> dict[str, Any]:
    """Path to what is no dict or list, such as `weights/0`."""
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list | tuple):
        items = list(enumerate(value))
    else:
        return {path: value}
    return {
        name: leaf
        for key, item in items
        for name, leaf in leaves(item, f"{path}/{key}" if path else str(key)).items()
    }


def copied(value: Any) -> Any:
    """Nested dicts and lists with a copy of every tensor; dicts keep what they have beside their items."""
    if isinstance(value, dict):
        found = copy(value)
        found.update({key: copied(item) for key, item in value.items()})
        return found
    if isinstance(value, list | tuple):
        return [copied(item) for item in value]
    return value.detach().clone() if isinstance(value, Tensor) else value


def same_everywhere(what: str, found: Any, expected: Any) -> None:
    """Raise Broken, with its place, where a leaf of nested dicts and lists is not the same, bit for bit."""
    one, other = leaves(found), leaves(expected)
    if one.keys() != other.keys():
        raise Broken(f"{what}: {', '.join(sorted(one.keys() ^ other.keys()))} on one side only")
    for name, leaf in one.items():
        if isinstance(leaf, Tensor):
            equal = isinstance(other[name], Tensor) and torch.equal(leaf.cpu(), other[name].cpu())
        else:
            equal = bool(leaf == other[name])
        if not equal:
            raise Broken(f"{what} at {name}" if name else what)


UNLIKELY_SEED = 1_273_642_419


@contextmanager
def no_draws_from_elsewhere() -> Iterator[None]:
    """Raises Broken if a global generator of PyTorch or NumPy is used or seeded within the block.

    Not of Python: checkers of types at run time draw from it what they look at.
    """
    kept = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002 - the one that all share
    torch.manual_seed(UNLIKELY_SEED)
    np.random.seed(UNLIKELY_SEED)  # noqa: NPY002
    try:
        before = _global_generators()
        yield
        after = _global_generators()
    finally:
        torch.set_rng_state(kept[0])
        np.random.set_state(kept[1])  # noqa: NPY002
    for name, state in after.items():
        if state != before[name]:
            raise Broken(
                f"numbers were drawn from {name}'s global generator, or it was seeded: draw all from `random`, also "
                "those that layers begin with"
            )


def _global_generators() -> dict[str, bytes]:
    shared = np.random.get_state()  # noqa: NPY002
    found = {"torch": torch.get_rng_state().numpy(), "numpy": shared}
    return {name: pickle.dumps(state) for name, state in found.items()}
