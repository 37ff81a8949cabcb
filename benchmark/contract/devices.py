"""Whether a method runs on another device than the processor, found out without one.

PyTorch's `meta` device has tensors with shapes and without numbers. An operation that mixes them with tensors on the
processor, or that waits for a number (`.item()`, `if loss > 0`), is an error there, as it would be an error or a
wait on a GPU.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from benchmark import calls
from benchmark.algorithm import Algorithm, LifePart, Transitions
from benchmark.contract.comparing import leaves
from benchmark.contract.subject import Broken, Subject
from benchmark.errors import AlgorithmError

META = torch.device("meta")


class _MetaGenerator(torch.Generator):
    """A generator that says it is on `meta`, where there are none."""

    device = META


class _WithoutDraws(TorchFunctionMode):
    """Nothing is drawn where there are no numbers: in-place draws leave their tensor, others give an empty one."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        given = dict(kwargs or {})
        if isinstance(given.get("generator"), _MetaGenerator):
            del given["generator"]
            if getattr(func, "__name__", "").endswith("_"):
                return args[0]
        return func(*args, **given)


class _MetaData:
    """`TrainingData` on the `meta` device."""

    def __init__(self, subject: Subject) -> None:
        self.tasks, self._subject = subject.family.train_tasks, subject

    def sample_tasks(self, count: int) -> Tensor:
        return torch.empty(min(count, self.tasks), dtype=torch.int64, device=META)

    def transitions(self, tasks: Tensor, size: int) -> Transitions:
        return _on_meta(self._subject.context(1, 1), len(tasks), size)

    def contiguous(self, tasks: Tensor, size: int, part: LifePart = "all") -> Transitions:
        return self.transitions(tasks, size)


def _on_meta(example: Transitions, tasks: int, size: int) -> Transitions:
    return example.map(lambda tensor: torch.empty((tasks, size, *tensor.shape[2:]), device=META))


def runs_on_any_device(subject: Subject) -> None:
    """It builds and trains on the device it is given, and a step waits for no number. (Tests are on the processor.)"""
    try:
        with _WithoutDraws():
            method = calls.build(subject.kind, subject.config, subject.family, META, _MetaGenerator())
            metrics = calls.call("update", lambda: method.update(_MetaData(subject)))
    except AlgorithmError as error:
        if "META device type not an accelerator" in str(
            error
        ):  # PyTorch has generators for real devices only
            raise Broken(
                "it builds a generator of its own, which cannot be checked: draw from `random`"
            ) from error
        raise Broken(
            f"it does not run on other devices than the processor, or waits for one: {error}"
        ) from error
    for name, value in metrics.items():
        if isinstance(value, Tensor) and value.device != META:
            raise Broken(f"metric '{name}' is on {value.device}, not on the device of the run")
    for path, value in leaves(calls.state(method), "state").items():
        if isinstance(value, Tensor) and value.ndim and value.device != META:
            raise Broken(f"{path} is on {value.device}, not on the device of the run")


class _NotedOperations(TorchFunctionMode):
    """Every call of PyTorch's, with the shapes of the tensors that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[Any, ...]] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        if name != "__get__":  # attributes are read, also by checks of shapes, in any order
            shapes = [tuple(one.shape) for one in args if isinstance(one, Tensor)]
            numbers = [one for one in args if isinstance(one, int | float)]
            named = [(key, one) for key, one in (kwargs or {}).items() if isinstance(one, int | float)]
            self.found.append((name, *shapes, *numbers, *named))
        return func(*args, **(kwargs or {}))


def fixed_steps_are_the_same(subject: Subject) -> None:
    """With `fixed_steps`, every step is the same operations on the same tensors: a GPU can replay one's record."""
    if not getattr(subject.kind, "fixed_steps", False):
        return
    method, data = subject.build(), subject.data()
    records, places = [], []
    for step in range(5):
        with _NotedOperations() as noted:
            calls.update(method, data, step + 1)
        records.append(noted.found)
        places.append(_places(method))
    for step, (record, place) in enumerate(zip(records[2:], places[2:], strict=True), 3):
        if record != records[1]:
            raise Broken(
                f"step {step} is other operations than step 2 ({len(record)} and {len(records[1])}); "
                "set fixed_steps = False, or make them the same"
            )
        if moved := [path for path in place if path in places[1] and place[path] != places[1][path]]:
            raise Broken(
                f"step {step} put a new tensor at {moved[0]}; change it in place, or set fixed_steps = False"
            )


def _places(method: Algorithm) -> dict[str, int]:
    """Where in memory the tensors lie that `state` gives as they are, by their place in it; copies are left out."""
    once, again = leaves(calls.state(method)), leaves(calls.state(method))
    tensors = {path: leaf for path, leaf in once.items() if isinstance(leaf, Tensor) and leaf.numel()}
    return {
        path: leaf.data_ptr() for path, leaf in tensors.items() if leaf.data_ptr() == again[path].data_ptr()
    }
