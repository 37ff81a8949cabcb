"""What a method must refuse: whatever does not fit is an error, and never made to fit by a guess or by broadcasting."""

from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmark import calls
from benchmark.algorithm import Algorithm, Transitions
from benchmark.contract.comparing import copied
from benchmark.contract.data import transitions
from benchmark.contract.subject import LANES, Broken, Subject

MISSING = object()
"""In place of a part that a state lacks."""


def refuses_what_does_not_fit(subject: Subject) -> None:
    """Observations of another length, and contexts with vectors of another length, are errors and not guesses."""
    method = subject.trained()
    wrong = torch.zeros(1, LANES, subject.family.observation_size + 1)
    policy = calls.adapt(method, subject.context(1, 20))
    _must_raise("the policy took observations of another length", lambda: policy(wrong))
    for what, context in _contexts_of_other_lengths(subject):
        said = f"adapt took a context with {what}"
        _must_raise(said, partial(method.adapt, context), "; begin it with family.check_context(context)")


def _contexts_of_other_lengths(subject: Subject) -> Iterator[tuple[str, Transitions]]:
    """Contexts with one component more than the family has, and with one alone, which arithmetic would broadcast."""
    for name in ("observation", "action"):
        size = getattr(subject.family, f"{name}_size")
        for length in {size + 1, 1} - {size}:
            other = replace(subject.family, **{f"{name}_size": length})
            yield f"{name}s of length {length} in place of {size}", transitions(other, 2, 20)


def _must_raise(what: str, function: Callable[[], Any], advice: str = "") -> None:
    if not _raises(function):
        raise Broken(f"{what} without an error{advice}")


def _raises(function: Callable[[], Any]) -> bool:
    try:
        function()
    except Exception:  # noqa: BLE001 - any error is right
        return True
    return False


def refuses_an_incomplete_state(subject: Subject) -> None:
    """A state that lacks a part, or has one of another shape, is an error when it is loaded, or at the next step."""
    method, data = subject.trained(2), subject.data()
    state = copied(calls.state(method))
    for step in range(2):
        calls.update(method, data, step + 3)
    other = subject.build()  # again and again: at the published sizes building takes longer than all else
    for what, wrong in misfits(state, copied(calls.state(method))):
        if not _raises(partial(other.load_state, wrong)):
            _must_raise(f"load_state took a state {what}, and went on", partial(_go_on, subject, other))
            other = subject.build()


def _go_on(subject: Subject, method: Algorithm) -> None:
    """Make a step, and act without a context and with one."""
    calls.update(method, subject.data(), 3)
    for size in (0, 20):
        subject.act(method, subject.context(2, size))


def misfits(state: dict[str, Any], later: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The state without each of its entries and tensors, and with each tensor in other shapes; with what was done.

    Left alone are lists and tensors whose sizes are others in a `later` state, which no method could miss, and the
    inside of what PyTorch's optimizers save: how strictly they load it is not the method's.
    """
    if state:
        yield "without anything in it", {}
    for name in state:
        yield f"without '{name}'", _with(state, name, MISSING)
        for what, part in _altered(state[name], later.get(name), str(name)):
            if part is not MISSING:
                yield what, _with(state, name, part)


def _altered(value: Any, later: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Tensor):
        if isinstance(later, Tensor) and later.shape == value.shape:
            yield f"without '{path}'", MISSING
            for other in _of_other_shapes(value):
                found, expected = tuple(other.shape), tuple(value.shape)
                yield f"with '{path}' of shape {found} in place of {expected}", other
    elif isinstance(value, dict | list) and type(later) is type(value) and len(later) == len(value):
        if isinstance(value, dict) and {"state", "param_groups"} <= value.keys():
            return
        for key in value if isinstance(value, dict) else range(len(value)):
            following = later.get(key) if isinstance(later, dict) else later[key]
            for what, part in _altered(value[key], following, f"{path}/{key}"):
                yield what, _with(value, key, part)


def _of_other_shapes(tensor: Tensor) -> Iterator[Tensor]:
    """With one row more, and with the first alone where there are several."""
    if not tensor.ndim:
        yield tensor.repeat(2)
        return
    yield torch.cat([tensor, tensor.new_zeros(1, *tensor.shape[1:])])
    if len(tensor) > 1:
        yield tensor[:1].clone()


def _with(container: Any, key: Any, part: Any) -> Any:
    """A copy of a dict or list with another part at that key, or without one."""
    changed = copy(container)  # with what a module's `state_dict` has beside its items
    if part is MISSING:
        del changed[key]
    else:
        changed[key] = part
    return changed
