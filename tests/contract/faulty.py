"""A method that keeps every promise, or breaks the one that it is told to; and some that cannot be run at all."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from benchmark.algorithm import Algorithm, AlgorithmConfig, FamilyDescription

NOISE = torch.Generator().manual_seed(0)


@dataclass(frozen=True)
class Config(AlgorithmConfig):
    fault: str = ""
    further: bool = False


class Faulty(Algorithm):
    """Clones a linear policy and scales it by the context; breaks one promise at a time."""

    name, Config = "faulty", Config
    fixed_steps = True
    further_tests = ({"further": True},)

    def __init__(
        self, config: Any, family: FamilyDescription, device: torch.device, random: torch.Generator
    ) -> None:
        self.fault, self.family, self.random, self.further = config.fault, family, random, config.further
        shape = (family.observation_size, family.action_size)
        self.weight = torch.zeros(shape, device="cpu" if self.fault == "processor" else device)
        if self.fault == "begins-globally":
            torch.manual_seed(0)
            self.weight += 1e-3 * torch.randn(shape)
        self.steps, self.adapted = 0, 0
        self.before: float | Tensor = 0.0

    def update(self, data: Any) -> Mapping[str, Tensor]:
        batch = data.transitions(data.sample_tasks(4), 32)
        error = batch.observations @ self.weight - batch.actions
        loss = error.square().mean()
        if self.fault == "waits":
            loss = torch.tensor(float(loss.item()), device=loss.device)
        rate = -0.1 if self.fault == "climbs" else 0.1
        self.weight -= rate * (batch.observations.mT @ error).mean(0) / 32
        if self.fault == "draws":
            self.weight += 1e-3 * torch.randn(self.weight.shape, generator=NOISE)
        if self.fault == "draws-globally":
            torch.rand(1)
        if self.fault == "every-second" and self.steps % 2:
            self.weight *= 0.999
        if self.fault == "slows":
            self.weight.add_(self.weight, alpha=1e-4 / (self.steps + 1))
        if self.fault == "moves":
            self.weight = self.weight.clone()
        if self.fault == "counts-adapting":
            self.weight += 1e-3 * self.adapted
        self.steps += 1
        return {"loss": loss * float("nan") if self.fault == "nan" else loss}

    def adapt(self, context: Any) -> Any:
        sizes = self.family
        if self.fault == "one-action" and context.actions.shape[-1] == 1:
            sizes = replace(sizes, action_size=1)
        if self.fault == "longer-observations":
            length = max(sizes.observation_size, context.observations.shape[-1])
            sizes = replace(sizes, observation_size=length)
        sizes.check_context(context)
        level = torch.zeros(context.tasks, device=context.returns.device)
        if context.size:
            level = (context.returns.mean(1) / 10).tanh()
        level = level[:, None, None]
        if self.fault == "company":
            level = level - level.mean(0)
        if self.fault == "order":
            level = level + torch.arange(len(level))[:, None, None]
        if self.fault == "one" and context.size == 1:
            level = level * float("nan")
        if self.fault == "counts":
            self.steps += 1
        if self.fault == "changes-the-context":
            context.returns.mul_(2)
        self.adapted += 1
        self.before = 0.0
        limit = 5.0 if self.fault == "wide" else 1.0

        def act(observations: Tensor) -> Tensor:
            if self.fault == "width":
                observations = observations[..., : self.family.observation_size]
            actions = (observations @ self.weight + level).clamp(-1, 1) * limit
            if self.fault == "lanes":
                actions = actions - actions.mean(1, keepdim=True)
            if self.fault == "whole-numbers":
                actions = actions.long()
            if self.fault == "history":
                self.before = actions = (observations @ self.weight + self.before).clamp(-2, 2) / 2
            if self.fault == "draws-acting":
                actions = (actions + 1e-2 * torch.randn((), generator=self.random)).clamp(-1, 1)
            if self.fault == "noise":
                actions = (actions + 1e-2 * torch.randn(actions.shape, generator=NOISE)).clamp(-1, 1)
            return actions[:, 0] if self.fault == "shape" else actions

        return act

    def fine_tuner(self, context: Any) -> Any:
        """Begins at the adapted policy, unless that is the promise it breaks."""
        if self.fault == "online-counts":
            self.steps += 1
        begins_at = context.map(lambda tensor: tensor[:, :0]) if self.fault == "online" else context
        policy = self.adapt(begins_at)

        self.later = 0.0

        def as_it_was(observations: Tensor) -> Tensor:
            return policy(observations) * (1 - self.later)

        def learn(data: Any) -> None:
            self.later = 0.5 if self.fault == "online-earlier" else 0.0
            if self.fault == "online-learns-itself":
                self.weight *= 2

        def explore() -> Any:
            return 1 / 0 if self.fault == "online-crash" else policy

        return SimpleNamespace(explore=explore, policy=lambda: as_it_was, learn=learn)

    def explore(self, context: Any) -> Any:
        """The adapted policy, unless that is the promise it breaks."""
        policy = self.adapt(context)
        if self.fault == "explores-nothing":
            return None
        return (lambda observations: 3 + policy(observations)) if self.fault == "explores-widely" else policy

    def informed(self, slots: Any) -> Any:
        """Policies of train tasks."""
        wide = 3.0 if self.fault == "informed" else 0.5
        return lambda observations: torch.full((*observations.shape[:2], self.family.action_size), wide)

    def state(self) -> dict[str, Any]:
        if self.fault == "forgets":
            return {}
        best = {"best": float("inf")} if self.fault == "best" else {}
        return {"weight": self.weight, "steps": self.steps, **best}

    def load_state(self, state: dict[str, Any]) -> None:
        if self.fault in ("forgets", "loads"):
            return
        if self.fault == "further" and self.further:
            raise ValueError("other sizes")
        self.steps = state.get("steps", 0) if self.fault == "begins-counting-anew" else state["steps"]
        if self.fault == "broadcasts":
            self.weight.copy_(state["weight"])
        else:
            self.weight = state["weight"].clone()


class Remembering(Faulty):
    """Keeps every promise with policies that each have a history: the action before goes into the next."""

    def adapt(self, context: Any) -> Any:
        policy, before = super().adapt(context), [0.0]

        def act(observations: Tensor) -> Tensor:
            before.append((policy(observations) + before[-1]) / 2)
            return before[-1]

        return act

    def fine_tuner(self, context: Any) -> Any:
        def adapted() -> Any:
            return self.adapt(context)

        return SimpleNamespace(explore=adapted, policy=adapted, learn=lambda data: None)


class Drawing(Faulty):
    """Keeps every promise, and draws from `random` whenever it adapts, once for all tasks."""

    def adapt(self, context: Any) -> Any:
        policy, drawn = super().adapt(context), torch.rand((), generator=self.random)
        return lambda observations: (policy(observations) + drawn).clamp(-1, 1)


class Unbuilt(Faulty):
    """Takes other arguments than the suite gives."""

    def __init__(self) -> None:
        raise NotImplementedError
