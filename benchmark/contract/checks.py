"""What every method must fulfil, one function per promise; each raises Broken with what was found.

`python -m benchmark check my_method.py:MyMethod` runs them on a class that nobody knows, the tests on all built-in
ones and all families. They use made-up data of a family's shapes, so they take seconds.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from benchmark import calls
from benchmark.algorithm import Algorithm, AlgorithmConfig, FamilyDescription, Policy, Transitions
from benchmark.contract.data import FixedData, RandomData, transitions
from benchmark.errors import AlgorithmError

LANES = 3
TOLERANCE = 1e-4
"""Largest difference of actions that sums in another order may make."""


class Broken(AlgorithmError):
    """A promise of the contract that a method does not keep."""


@dataclass(frozen=True)
class Subject:
    """A method with its settings, on a family of some shapes."""

    kind: type[Algorithm]
    config: AlgorithmConfig
    family: FamilyDescription
    falling_steps: int = 60
    """Steps within which the loss on a fixed batch must fall."""
    cpu: torch.device = field(default=torch.device("cpu"))

    def build(self, random: torch.Generator | None = None) -> Algorithm:
        """A new instance that draws from that generator."""
        random = torch.Generator().manual_seed(0) if random is None else random
        return calls.build(self.kind, self.config, self.family, self.cpu, random)

    def data(self) -> RandomData:
        """The same training data every time."""
        return RandomData(self.family, per_task=2000)

    def trained(self, steps: int = 2) -> Algorithm:
        """An instance after some steps."""
        method, data = self.build(), self.data()
        for step in range(steps):
            calls.update(method, data, step + 1)
        return method

    def context(self, tasks: int, size: int, seed: int = 5) -> Transitions:
        """A made-up context."""
        return transitions(self.family, tasks, size, seed)

    def act(self, method: Algorithm, context: Transitions, observations: Tensor | None = None) -> Tensor:
        """Actions of the adapted policies on some observations, checked."""
        if observations is None:
            observations = self.observations(context.tasks)
        return _actions(method.name, calls.adapt(method, context), observations, self.family.action_size)

    def observations(self, tasks: int) -> Tensor:
        """(task, LANES, observation)"""
        generator = torch.Generator().manual_seed(11)
        return torch.randn(tasks, LANES, self.family.observation_size, generator=generator)


def _actions(name: str, policy: Policy, observations: Tensor, action_size: int) -> Tensor:
    with torch.no_grad():
        actions = calls.call(f"the policy of {name}", lambda: policy(observations))
    expected = (*observations.shape[:2], action_size)
    if not isinstance(actions, Tensor) or tuple(actions.shape) != expected:
        found = tuple(actions.shape) if isinstance(actions, Tensor) else type(actions).__name__
        raise Broken(
            f"the policy gave {found} for observations {tuple(observations.shape)}; it must give {expected}"
        )
    if actions.requires_grad:
        raise Broken("the policy's actions carry gradients; act under torch.no_grad()")
    if not actions.isfinite().all():
        raise Broken("the policy gave actions that are not finite")
    if actions.abs().max() > 1 + 1e-6:
        raise Broken(
            f"the policy gave actions up to {float(actions.abs().max()):.3g}; they must lie in [-1, 1]"
        )
    return actions


def trains_with_finite_loss(subject: Subject) -> None:
    """`update` gives scalar metrics with a finite `loss`."""
    method, data = subject.build(), subject.data()
    for step in range(3):
        for name, value in calls.update(method, data, step + 1).items():
            if not value.isfinite():
                raise Broken(f"metric '{name}' is {float(value)} in step {step + 1}")


def loss_falls_on_a_fixed_batch(subject: Subject) -> None:
    """Trained on one batch again and again, the loss goes down."""
    inner, outer = (transitions(subject.family, subject.family.train_tasks, 64, seed) for seed in (1, 2))
    method, data = subject.build(), FixedData(subject.family, inner, outer)
    losses = [float(calls.update(method, data, step + 1)["loss"]) for step in range(subject.falling_steps)]
    tenth = max(subject.falling_steps // 10, 1)
    first, last = sum(losses[:tenth]) / tenth, sum(losses[-tenth:]) / tenth
    if not last < first:
        raise Broken(f"the loss went from {first:.6g} to {last:.6g} in {subject.falling_steps} steps")


def adapts_to_any_context(subject: Subject) -> None:
    """An empty context, one transition, a few and many give finite actions of the right shape."""
    method = subject.trained()
    for size in (0, 1, 2, 256, 1000):
        subject.act(method, subject.context(2, size))


def an_empty_context_tells_nothing(subject: Subject) -> None:
    """Without a context every task gets the same policy."""
    observations = subject.observations(1).expand(3, -1, -1).contiguous()
    actions = subject.act(subject.trained(), subject.context(3, 0), observations)
    _same("tasks without a context act differently", actions, actions[:1].expand_as(actions))


def permuting_tasks_permutes_results(subject: Subject) -> None:
    """The order in which tasks are adapted does not matter."""
    method, context, observations = subject.trained(), subject.context(4, 60), subject.observations(4)
    order = torch.tensor([2, 0, 3, 1])
    together = subject.act(method, context, observations)
    permuted = subject.act(method, context.map(lambda tensor: tensor[order]), observations[order])
    _same("tasks in another order act differently", permuted, together[order])


def company_does_not_matter(subject: Subject) -> None:
    """A task adapts alike alone and among others: nothing of another test task reaches it."""
    method, context, observations = subject.trained(), subject.context(4, 60), subject.observations(4)
    together = subject.act(method, context, observations)
    for task in range(4):
        one = slice(task, task + 1)
        alone = subject.act(method, context.map(lambda tensor, one=one: tensor[one]), observations[one])  # type: ignore[misc]
        _same(f"task {task} acts differently alone and among others", alone, together[one])


def adapting_leaves_the_method_as_it_was(subject: Subject) -> None:
    """Neither `adapt` nor acting changes any state."""
    method = subject.trained()
    before = _copied(calls.state(method))
    for size in (0, 50):
        subject.act(method, subject.context(2, size))
    _same_state("adapt changed the method's state", calls.state(method), before)


def goes_online_from_the_adapted_policy(subject: Subject) -> None:
    """A fine-tuner, where there is one, begins at the adapted policy and leaves the method as it was."""
    method, context, observations = subject.trained(), subject.context(2, 60), subject.observations(2)
    before = _copied(calls.state(method))
    learner = calls.fine_tuner(method, context)
    if learner is None:
        return
    for policy in (learner.explore(), learner.policy()):
        actions = _actions(method.name, policy, observations, subject.family.action_size)
    _same("the fine-tuner's policy is not the adapted one", actions, subject.act(method, context))
    _same_state("fine_tuner changed the method's state", calls.state(method), before)


def resumes_bit_for_bit(subject: Subject) -> None:
    """Saved by torch, loaded into a new instance, it goes on as if it had never stopped."""
    generators = [torch.Generator().manual_seed(seed) for seed in (0, 1)]
    method, other = (subject.build(generator) for generator in generators)
    calls.update(method, subject.data(), 1)
    file = io.BytesIO()
    torch.save(calls.state(method), file)
    file.seek(0)
    calls.load_state(other, torch.load(file, weights_only=True))
    _same_state("load_state did not restore what state gave", calls.state(other), calls.state(method))
    generators[1].set_state(generators[0].get_state())  # as the suite does
    for one in (method, other):
        calls.update(one, subject.data(), 2)
    _same_state("after loading, the next step differs", calls.state(other), calls.state(method))


def is_repeatable(subject: Subject) -> None:
    """The same seed and data give the same state, bit for bit."""
    one, other = subject.trained(3), subject.trained(3)
    _same_state(
        "two instances of the same seed differ: draw from `random` alone",
        calls.state(one),
        calls.state(other),
    )


def refuses_what_does_not_fit(subject: Subject) -> None:
    """Observations of another length, and a state that is incomplete, are errors and not guesses."""
    method = subject.trained()
    wrong = torch.zeros(1, LANES, subject.family.observation_size + 1)
    policy = calls.adapt(method, subject.context(1, 20))
    _must_raise("the policy took observations of another length", lambda: policy(wrong))
    state = calls.state(method)
    if state:
        _must_raise("load_state took an empty state", lambda: method.load_state({}))


CHECKS: tuple[Callable[[Subject], None], ...] = (
    trains_with_finite_loss,
    loss_falls_on_a_fixed_batch,
    adapts_to_any_context,
    an_empty_context_tells_nothing,
    permuting_tasks_permutes_results,
    company_does_not_matter,
    adapting_leaves_the_method_as_it_was,
    goes_online_from_the_adapted_policy,
    resumes_bit_for_bit,
    is_repeatable,
    refuses_what_does_not_fit,
)


def _must_raise(what: str, function: Callable[[], Any]) -> None:
    try:
        function()
    except Exception:  # noqa: BLE001 - any error is right
        return
    raise Broken(f"{what} without an error")


def _same(what: str, found: Tensor, expected: Tensor) -> None:
    difference = float((found - expected).abs().max())
    if not difference <= TOLERANCE:
        raise Broken(f"{what}: by up to {difference:.3g}")


def _leaves(value: Any, path: str = "state") -> dict[str, Any]:
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list | tuple):
        items = list(enumerate(value))
    else:
        return {path: value}
    return {name: leaf for key, item in items for name, leaf in _leaves(item, f"{path}/{key}").items()}


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_copied(item) for item in value]
    return value.detach().clone() if isinstance(value, Tensor) else value


def _same_state(what: str, found: Any, expected: Any) -> None:
    one, other = _leaves(found), _leaves(expected)
    if one.keys() != other.keys():
        raise Broken(f"{what}: {', '.join(sorted(one.keys() ^ other.keys()))} on one side only")
    for name, leaf in one.items():
        if isinstance(leaf, Tensor):
            equal = isinstance(other[name], Tensor) and torch.equal(leaf.cpu(), other[name].cpu())
        else:
            equal = bool(leaf == other[name])
        if not equal:
            raise Broken(f"{what} at {name}")
