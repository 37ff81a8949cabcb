"""Networks whose parameters are blocks of theta, and the functions that theta computes.

A weight-transform layer keeps a latent z and a linear map (W, c); what it multiplies with is the image of z:

    z (latent,)  --W, c-->  theta = W z + c (in * out + out,)  =  kernel | bias,      y = x kernel + bias

A plain layer (the ablation) keeps its kernel as it is and transforms the bias only. So a network is a list of
`Block`s: stretches of theta, each with a latent or without. Adaptation works on blocks (see `adaptation`),
and the functions below on the layers that the blocks make up. Source: MACAW, section 4.2 and appendix.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

Layer = tuple[Float[Tensor, "task _ _"], Float[Tensor, "task 1 _"]]
"""Kernel (task, input, output) and bias (task, 1, output) of a layer."""


@dataclass(frozen=True)
class LatentMap:
    """The learned latent z and matrix W behind a block of theta."""

    latent: Float[Tensor, "*task latent"]
    """z"""
    weight: Float[Tensor, "*task row latent"]
    """W"""


@dataclass(frozen=True)
class Block:
    """A stretch of theta with its learned tensors: W z + c, or c alone where there is no latent.

    Tensors with a leading task dimension are a block for each task.
    """

    bias: Float[Tensor, "*task row"]
    """c"""
    transform: LatentMap | None = None
    """z and W"""

    def tensors(self) -> list[Tensor]:
        """The learned tensors, (z, W, c) or (c,): each has an inner learning rate of its own."""
        if self.transform is None:
            return [self.bias]
        return [self.transform.latent, self.transform.weight, self.bias]

    def theta(self) -> Float[Tensor, "*task row"]:
        """What enters the network."""
        if self.transform is None:
            return self.bias
        image = self.transform.weight @ self.transform.latent.unsqueeze(-1)
        return self.bias + image.squeeze(-1)


@dataclass(frozen=True)
class Network:
    """Fully connected layers, as blocks of theta."""

    sizes: tuple[tuple[int, int], ...]
    """Inputs and outputs of each layer."""
    blocks: tuple[Block, ...]
    """One block per layer, or two (kernel, bias) where layers are plain."""

    def tensors(self) -> list[Tensor]:
        """Every learned tensor, block by block."""
        return [tensor for block in self.blocks for tensor in block.tensors()]

    def theta(self) -> list[Tensor]:
        """Theta of every block, each (row,), or (task, row) where blocks have a task dimension."""
        return [block.theta() for block in self.blocks]

    def map(self, function: Callable[[Tensor], Tensor]) -> "Network":
        """The same network with the function applied to every learned tensor."""
        blocks = []
        for block in self.blocks:
            transform = block.transform
            if transform is not None:
                transform = LatentMap(function(transform.latent), function(transform.weight))
            blocks.append(Block(function(block.bias), transform))
        return Network(self.sizes, tuple(blocks))

    def repeated(self, tasks: int) -> list[Layer]:
        """Kernel and bias of every layer for so many tasks: the same, or their own where blocks have one."""
        return self.layers([theta.expand(tasks, -1) for theta in self.theta()])

    def layers(self, theta: Sequence[Float[Tensor, "task _"]]) -> list[Layer]:
        """Kernel and bias of every layer, as views of the theta of every block."""
        if len(self.blocks) == len(self.sizes):
            counts = [[inputs * outputs, outputs] for inputs, outputs in self.sizes]
            pairs = [torch.split(block, count, dim=1) for block, count in zip(theta, counts, strict=True)]
        else:
            pairs = list(zip(theta[::2], theta[1::2], strict=True))
        return [
            (kernel.view(-1, *size), bias.unsqueeze(1))
            for (kernel, bias), size in zip(pairs, self.sizes, strict=True)
        ]


def new_network(
    sizes: Sequence[tuple[int, int]], latent_size: int | None, random: torch.Generator
) -> Network:
    """Weight-transform layers, or plain layers where `latent_size` is None, initialised from `random`.

    Weight-transform: z from N(0, (1 / out)^2), W and c as PyTorch initialises a linear map.
    Plain: kernel and b as PyTorch initialises a linear layer. The bias is b + B^T beta with beta (out,) from
    N(0, (1 / out)^2) and B (out, out) from N(0, 1 / out): its z is beta, its W is B^T, its c is b.
    """
    blocks: list[Block] = []
    for inputs, outputs in sizes:
        if latent_size is None:
            bound = 1 / math.sqrt(inputs)
            kernel, bias = _uniform(bound, random, inputs * outputs), _uniform(bound, random, outputs)
            weight = _normal(1 / math.sqrt(outputs), random, outputs, outputs)
            latent = _normal(1 / outputs, random, outputs)
            blocks += [Block(kernel), Block(bias, LatentMap(latent, weight))]
        else:
            bound, rows = 1 / math.sqrt(latent_size), inputs * outputs + outputs
            latent = _normal(1 / outputs, random, latent_size)
            weight, bias = _uniform(bound, random, rows, latent_size), _uniform(bound, random, rows)
            blocks.append(Block(bias, LatentMap(latent, weight)))
    return Network(tuple(sizes), tuple(blocks))


def layer_sizes(inputs: int, hidden_size: int, hidden_layers: int, outputs: int) -> list[tuple[int, int]]:
    """Inputs and outputs of each layer of a perceptron."""
    widths = [inputs, *[hidden_size] * hidden_layers, outputs]
    return list(zip(widths[:-1], widths[1:], strict=True))


def perceptron(
    layers: Sequence[Layer], inputs: Float[Tensor, "task batch input"]
) -> Float[Tensor, "task batch output"]:
    """Layers with a ReLU between them; the last one's output is not rectified."""
    outputs = inputs
    for index, (kernel, bias) in enumerate(layers):
        outputs = torch.baddbmm(bias, outputs.relu_() if index else outputs, kernel)
    return outputs


def values(
    layers: Sequence[Layer], observations: Float[Tensor, "task batch observation"]
) -> Float[Tensor, "task batch"]:
    """V(s)."""
    return perceptron(layers, observations).squeeze(-1)


def policy_means(
    layers: Sequence[Layer], observations: Float[Tensor, "task batch observation"]
) -> Float[Tensor, "task batch action"]:
    """mu(s), in (-1, 1)."""
    return perceptron(layers, observations).tanh()


def policy_means_and_advantages(
    layers: Sequence[Layer],
    head: Sequence[Layer],
    observations: Float[Tensor, "task batch observation"],
    actions: Float[Tensor, "task batch action"],
) -> tuple[Float[Tensor, "task batch action"], Float[Tensor, "task batch"]]:
    """mu(s) and the advantage head's A(s, a), which reads the last hidden layer before its ReLU.

    Head: [hidden, action] -> ReLU -> layer -> ReLU -> layer. Source: the "enriched" policy update.
    """
    hidden = perceptron(layers[:-1], observations)
    features = torch.cat((hidden, actions), -1).relu()
    means = perceptron(layers[-1:], hidden.relu()).tanh()
    return means, perceptron(head, features).squeeze(-1)


def _uniform(bound: float, random: torch.Generator, *shape: int) -> Tensor:
    return torch.empty(shape, device=random.device).uniform_(-bound, bound, generator=random)


def _normal(std: float, random: torch.Generator, *shape: int) -> Tensor:
    return torch.empty(shape, device=random.device).normal_(0, std, generator=random)
