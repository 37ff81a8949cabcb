"""Behaviour cloning on all train tasks, whose last layer is fitted anew to the context of a test task."""

from dataclasses import dataclass

import torch

from benchmark.algorithm import Algorithm, AlgorithmConfig


@dataclass(frozen=True)
class RidgeCloningConfig(AlgorithmConfig):
    """Every field can be set with --set name=value."""

    hidden_size: int = 128
    learning_rate: float = 1e-3
    ridge: float = 1.0


class RidgeCloning(Algorithm):
    """Features are learned by cloning all tasks at once; a test task gets a ridge regression on them."""

    name = "ridge-cloning"
    Config = RidgeCloningConfig

    def __init__(self, config, family, device, random):
        self.config, self.family = config, family
        sizes = [family.observation_size, config.hidden_size, config.hidden_size, family.action_size]
        self.weights = [
            torch.randn(inputs, outputs, generator=random, device=device).div_(inputs**0.5).requires_grad_()
            for inputs, outputs in zip(sizes[:-1], sizes[1:], strict=True)
        ]
        self.adam = torch.optim.Adam(self.weights, lr=config.learning_rate)

    def features(self, observations):
        for weight in self.weights[:-1]:
            observations = torch.tanh(observations @ weight)
        return observations

    def update(self, data):
        batch = data.transitions(data.sample_tasks(5), 256)
        actions = self.features(batch.observations) @ self.weights[-1]
        loss = (actions - batch.actions).square().mean()
        self.adam.zero_grad()
        loss.backward()
        self.adam.step()
        return {"loss": loss.detach()}

    @torch.no_grad()
    def adapt(self, context):
        self.family.check_context(context)
        features = self.features(context.observations)  # (task, batch, feature)
        errors = context.actions - features @ self.weights[-1]
        penalty = self.config.ridge * torch.eye(features.shape[-1], device=features.device)
        correction = torch.linalg.solve(features.mT @ features + penalty, features.mT @ errors)
        last = self.weights[-1] + correction  # (task, feature, action); no context, no correction
        return lambda observations: (self.features(observations) @ last).clamp(-1, 1)

    def state(self):
        return {"weights": list(self.weights), "adam": self.adam.state_dict()}

    def load_state(self, state):
        with torch.no_grad():
            for weight, saved in zip(self.weights, state["weights"], strict=True):
                if saved.shape != weight.shape:
                    raise ValueError(f"a weight is {tuple(saved.shape)}, not {tuple(weight.shape)}")
                weight.copy_(saved)
        self.adam.load_state_dict(state["adam"])
