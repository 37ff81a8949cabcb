"""PEARL that goes on learning in test tasks: an actor-critic of its own for each, z as inferred from the context.

Each task's copy makes soft actor-critic steps on what was gathered there, with the losses and the learning rate of
training; the encoder rests. Episodes are gathered with actions drawn from the policy.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from benchmark.algorithm import Policy, TrainingData, Transitions

if TYPE_CHECKING:
    from baselines.pearl import Pearl

STEPS = 200
"""Soft actor-critic steps between two rounds, as many as the other methods' policies make."""


class OnlinePearl:
    """A `FineTuner` of the suite's contract."""

    def __init__(self, pearl: "Pearl", context: Transitions) -> None:
        """Copies for each task of the context; `pearl` stays as it is, but for its random numbers."""
        with torch.no_grad():
            self._latents = pearl.posterior(context)[0]
        self._agents = [pearl.copy() for _ in range(context.tasks)]
        self._batch = pearl.config.batch

    def explore(self) -> Policy:
        """Actions drawn from the policies."""
        return self._policies([agent.stochastic(z) for agent, z in self._pairs()])

    def learn(self, data: TrainingData) -> None:
        """Each task's steps on batches of what was gathered in it."""
        for slot, (agent, latent) in enumerate(self._pairs()):
            task = torch.tensor([slot], device=latent.device)
            for _ in range(STEPS):
                agent.actor_critic_step(data.transitions(task, self._batch), latent)

    def policy(self) -> Policy:
        """The deterministic policies as they are now."""
        return self._policies([agent.acting(z) for agent, z in self._pairs()])

    def _pairs(self) -> list[tuple["Pearl", Tensor]]:
        return list(zip(self._agents, torch.split(self._latents, 1), strict=True))

    @staticmethod
    def _policies(policies: list[Policy]) -> Policy:
        """Policies of one task each as one policy of all tasks."""

        def act(observations: Tensor) -> Tensor:
            pairs = zip(policies, torch.split(observations, 1), strict=True)
            return torch.cat([policy(own) for policy, own in pairs])

        return act
