"""The oracle: MACAW's meta-step in its plainest form, one task after the other, by automatic differentiation.

Adapted parameters are formed in full (W' = W - a_W dL/dW), and the meta-gradient is a double backward through
them. Nothing is shared with `macaw` but the layout of its state. Slow, and easy to believe.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus

from benchmark.algorithm import Transitions
from macaw.algorithm import MacawConfig

Tensors = list[Tensor]


def meta_step(
    config: MacawConfig, train_tasks: int, state: dict[str, Any], inner: Transitions, outer: Transitions
) -> dict[str, Any]:
    """Outer losses of every task, and the meta-gradients of everything learned, as `MetaStep` has them."""
    learned = {name: _leaves(state[name]) for name in ("value", "policy", "head")}
    raw = [state[name].clone().requires_grad_() for name in RAW]
    losses: dict[str, list[Tensor]] = {name: [] for name in ("value_loss", "policy_loss")}
    for task in range(inner.tasks):
        batches = [batch.map(lambda tensor, task=task: tensor[task]) for batch in (inner, outer)]
        for name, loss in task_losses(config, learned, raw, *batches).items():
            losses[name].append(loss)
    total = torch.stack(losses["value_loss"] + losses["policy_loss"]).sum() / train_tasks
    tensors = [*learned["value"], *learned["policy"], *learned["head"], *raw]
    gradients = iter(torch.autograd.grad(total, tensors, materialize_grads=True))
    return {
        "losses": {name: torch.stack(loss).detach() for name, loss in losses.items()},
        "value": [next(gradients) for _ in learned["value"]],
        "policy": [next(gradients) for _ in learned["policy"] + learned["head"]],
        "hyper": list(gradients),
    }


RAW = ("value_raw_inner_lr", "policy_raw_inner_lr", "raw_advantage_coefficient")


def task_losses(
    config: MacawConfig, learned: dict[str, Tensors], raw: Tensors, inner: Transitions, outer: Transitions
) -> dict[str, Tensor]:
    """The outer losses of one task."""
    value, policy, head = learned["value"], learned["policy"], learned["head"]
    value_lr, policy_lr, coefficient = (softplus(parameter) for parameter in raw)
    inner_value_loss = (values(config, value, inner.observations) - inner.returns).square().mean()
    adapted_value = sgd(value, inner_value_loss, value_lr)
    pairs = zip(value, adapted_value, strict=True)
    rate = config.target_rate
    target_value = [(1 - rate) * meta.detach() + rate * adapted.detach() for meta, adapted in pairs]
    targets = bootstrapped(config, target_value, outer)
    value_loss = (values(config, adapted_value, outer.observations) - targets).square().mean()

    advantages, weights = weighted_advantages(config, adapted_value, inner)
    likelihood, predictions = policy_outputs(config, policy, head, inner)
    inner_policy_loss = -(weights * likelihood).mean()
    if config.advantage_head:
        inner_policy_loss = inner_policy_loss + coefficient * (predictions - advantages).square().mean()
    adapted_policy = sgd(policy, inner_policy_loss.sum(), policy_lr)
    _, weights = weighted_advantages(config, adapted_value, outer)
    likelihood, _ = policy_outputs(config, adapted_policy, head, outer)
    return {"value_loss": value_loss, "policy_loss": -(weights * likelihood).mean()}


def sgd(tensors: Tensors, loss: Tensor, inner_lr: Tensor) -> Tensors:
    """One step on every tensor with its own learning rate, differentiable."""
    gradients = torch.autograd.grad(loss, tensors, create_graph=True)
    steps = zip(tensors, gradients, inner_lr, strict=True)
    return [tensor - lr * gradient for tensor, gradient, lr in steps]


def weighted_advantages(config: MacawConfig, value: Tensors, batch: Transitions) -> tuple[Tensor, Tensor]:
    """A and w of a batch, without gradient."""
    with torch.no_grad():
        advantages = bootstrapped(config, value, batch) - values(config, value, batch.observations)
        weights = ((advantages - advantages.mean()) / advantages.std()).exp()
        return advantages, torch.minimum(weights, torch.tensor(config.weight_limit, dtype=weights.dtype))


def bootstrapped(config: MacawConfig, value: Tensors, batch: Transitions) -> Tensor:
    final_values = values(config, value, batch.final_observations)
    return batch.returns + batch.final_discounts * final_values


def values(config: MacawConfig, value: Tensors, observations: Tensor) -> Tensor:
    return last_hidden_and_output(config, value, observations)[1].squeeze(-1)


def policy_outputs(
    config: MacawConfig, policy: Tensors, head: Tensors, batch: Transitions
) -> tuple[Tensor, Tensor]:
    """log N(a; mu(s), std^2) and the head's advantage (empty without a head)."""
    hidden, output = last_hidden_and_output(config, policy, batch.observations)
    normal = torch.distributions.Normal(torch.tanh(output), config.action_std)
    likelihood = normal.log_prob(batch.actions).sum(-1)
    if not config.advantage_head:
        return likelihood, torch.empty(0)
    features = relu(torch.cat((hidden, batch.actions), -1))
    return likelihood, last_hidden_and_output(config, head, features)[1].squeeze(-1)


def last_hidden_and_output(config: MacawConfig, tensors: Tensors, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """The last hidden layer before its ReLU, and the output."""
    count = 3 if config.weight_transform else 4
    layers = [tensors[start : start + count] for start in range(0, len(tensors), count)]
    activations = inputs
    for layer in layers[:-1]:
        hidden = linear(layer, activations)
        activations = relu(hidden)
    return hidden, linear(layers[-1], activations)


def linear(layer: Tensors, inputs: Tensor) -> Tensor:
    """One layer: (z, W, c) with weight transform, else (kernel, beta, B^T, b)."""
    size = inputs.shape[-1]
    if len(layer) == 3:
        latent, weight, bias = layer
        theta = weight @ latent + bias
        outputs = theta.numel() // (size + 1)
        return inputs @ theta[: size * outputs].reshape(size, outputs) + theta[size * outputs :]
    kernel, beta, transform, bias = layer
    return inputs @ kernel.reshape(size, -1) + bias + transform @ beta


def _leaves(tensors: Tensors) -> Tensors:
    return [tensor.clone().requires_grad_() for tensor in tensors]
