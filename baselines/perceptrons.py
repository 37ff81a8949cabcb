"""Perceptrons of several agents, each with networks of its own, as one batch of matrix products."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

Layers = list[tuple[Tensor, Tensor]]
"""Kernel (network, input, output) and bias (network, 1, output) of each layer of one or more networks."""


def new_layers(
    sizes: Sequence[tuple[int, int]], networks: int, random: torch.Generator, last_bound: float | None = None
) -> Layers:
    """Uniform within 1 / sqrt(inputs), or within `last_bound` in the last layer."""
    layers = []
    for index, (inputs, outputs) in enumerate(sizes):
        last = index == len(sizes) - 1 and last_bound is not None
        bound = last_bound if last and last_bound else 1 / math.sqrt(inputs)
        shapes = ((networks, inputs, outputs), (networks, 1, outputs))
        kernel, bias = (
            torch.empty(shape, device=random.device)
            .uniform_(-bound, bound, generator=random)
            .requires_grad_()
            for shape in shapes
        )
        layers.append((kernel, bias))
    return layers


def perceptron(
    layers: Layers, inputs: Float[Tensor, "agent row input"], products: torch.dtype = torch.float32
) -> Float[Tensor, "agent network row output"]:
    """ReLU layers, all networks of an agent on its rows; products in `products` but for the last layer's."""
    agents, last = len(inputs), len(layers) - 1
    outputs = inputs.unsqueeze(1).expand(-1, len(layers[0][0]) // agents, -1, -1).flatten(0, 1)
    for index, (kernel, bias) in enumerate(layers):
        kind = products if index < last else torch.float32
        outputs = (outputs.relu() if index else outputs).to(kind)
        outputs = torch.baddbmm(bias.to(kind), outputs, kernel.to(kind))
    return outputs.view(agents, -1, *outputs.shape[1:])


def tensors(layers: Layers) -> list[Tensor]:
    """All learned tensors, layer by layer."""
    return [tensor for pair in layers for tensor in pair]


def repeated(state: Any, times: int) -> Any:
    """The same state of so many agents: every tensor again and again along its first dimension."""
    if isinstance(state, dict):
        return {name: repeated(value, times) for name, value in state.items()}
    if isinstance(state, list):
        return [repeated(value, times) for value in state]
    return state.repeat(times, *[1] * (state.ndim - 1)) if state.ndim else state
