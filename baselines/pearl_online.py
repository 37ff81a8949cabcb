"""PEARL that goes on learning in test tasks: an actor-critic of its own for each, z as inferred from the context.

Each task's copy makes soft actor-critic steps on what was gathered there, with the losses and the learning rate of
training; the encoder rests. All copies are one batch. Episodes are gathered with actions drawn from the policy. That is
PEARL's own way of learning; Table 1 of Mitchell et al. (2021), whose PEARL was not released, states a step size of 1e-5
and noise of 0.2 for MACAW and its like.
"""

from typing import TYPE_CHECKING

import torch

from benchmark.algorithm import Policy, TrainingData, Transitions

if TYPE_CHECKING:
    from baselines.pearl import Pearl

STEPS = 200
"""Soft actor-critic steps between two rounds, as many as the other methods' policies make."""


class OnlinePearl:
    """A `FineTuner` of the suite's contract."""

    def __init__(self, pearl: "Pearl", context: Transitions) -> None:
        """A copy for each task of the context; `pearl` stays as it is, but for its random numbers."""
        with torch.no_grad():
            self._latents = pearl.posterior(context)[0]
        self._agents = pearl.copies(context.tasks)
        self._batch = pearl.config.batch

    def explore(self) -> Policy:
        """Actions drawn from the policies."""
        return self._agents.stochastic(self._latents)

    def learn(self, data: TrainingData) -> None:
        """Each task's steps on batches of what was gathered in it."""
        tasks = torch.arange(data.tasks, device=self._latents.device)
        for _ in range(STEPS):
            self._agents.actor_critic_step(data.transitions(tasks, self._batch), self._latents)

    def policy(self) -> Policy:
        """The deterministic policies as they are now."""
        return self._agents.acting(self._latents)
