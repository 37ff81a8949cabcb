"""A method that is held against the contract, on a family of some shapes, and what it answers there."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from benchmark import calls
from benchmark.algorithm import Algorithm, AlgorithmConfig, FamilyDescription, Policy, Transitions
from benchmark.contract.data import RandomData, transitions
from benchmark.errors import AlgorithmError

LANES = 3


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

    def trained(self, steps: int = 2, random: torch.Generator | None = None) -> Algorithm:
        """An instance after some steps, which draws from that generator."""
        method, data = self.build(random), self.data()
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
        return self.acted(method, calls.adapt(method, context), observations)

    def observations(self, tasks: int) -> Tensor:
        """(task, LANES, observation)"""
        generator = torch.Generator().manual_seed(11)
        return torch.randn(tasks, LANES, self.family.observation_size, generator=generator)

    def acted(self, method: Algorithm, policy: Policy, observations: Tensor) -> Tensor:
        """The policy's actions on these observations; raises Broken where they are not what policies give."""
        with torch.no_grad():
            actions = calls.call(f"the policy of {method.name}", lambda: policy(observations))
        expected = (*observations.shape[:2], self.family.action_size)
        if not isinstance(actions, Tensor) or tuple(actions.shape) != expected:
            found = tuple(actions.shape) if isinstance(actions, Tensor) else type(actions).__name__
            raise Broken(
                f"the policy gave {found} for observations {tuple(observations.shape)}; it must give {expected}"
            )
        if not actions.is_floating_point():
            raise Broken(f"the policy gave actions of {actions.dtype}; they must be floating-point numbers")
        if actions.requires_grad:
            raise Broken("the policy's actions carry gradients; act under torch.no_grad()")
        if not actions.isfinite().all():
            raise Broken("the policy gave actions that are not finite")
        if actions.abs().max() > 1 + 1e-6:
            raise Broken(
                f"the policy gave actions up to {float(actions.abs().max()):.3g}; they must lie in [-1, 1]"
            )
        return actions
