"""The inner step and its exact meta-gradient, without ever forming an adapted weight matrix.

Only theta = W z + c enters a network, so with g = d loss / d theta (one row per task) the inner loss has the
gradients W^T g for z, g z^T for W and g for c, and one SGD step with learning rates (a_z, a_W, a_c) gives

    z' = z - a_z W^T g        W' = W - a_W g z^T        c' = c - a_c g
    theta' = W' z' + c' = W z' + c - (a_W (z . z') + a_c) g

exactly. The meta-gradient goes back through these lines by hand. Its part for W, by far the largest tensor,
is a sum of 2 T + 1 outer products for T tasks (two of each task from theta', one from theta), gathered into
one matrix product. Automatic differentiation sees nothing larger than theta.

Source: MACAW, algorithm 1; the inner learning rates are learned, one per tensor, as softplus of a raw number.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import softplus

from macaw.memory import gradient_memory
from macaw.networks import Block, LatentMap, Layer, Network

InnerLoss = Callable[[list[Layer]], Float[Tensor, " task"]]
"""From the layers of a network to one loss per task."""


class PlainStep:
    """One SGD step of several tasks on a block without a latent: theta' = c - a_c g."""

    def __init__(self, bias: Tensor, gradient: Float[Tensor, "task row"], inner_lr: Sequence[Tensor]) -> None:
        self._gradient, (self._bias_lr,) = gradient, inner_lr
        self.theta = torch.addcmul(bias, gradient, self._bias_lr, value=-1)

    def interpolated(self, theta: Float[Tensor, " row"], rate: float) -> Float[Tensor, "task row"]:
        """Theta of (1 - rate) * parameters + rate * adapted parameters, given that of the parameters."""
        return torch.lerp(theta.expand_as(self.theta), self.theta, rate)

    def block(self) -> Block:
        """c' of every task."""
        return Block(self.theta)

    def backward(self, adapted: Float[Tensor, "task row"]) -> tuple[Float[Tensor, "task row"], list[Tensor]]:
        """From the gradient of theta' to those of g and of the inner learning rates."""
        self._adapted = adapted
        return -self._bias_lr * adapted, [-(adapted * self._gradient).sum()]

    def gradients(self, theta: Float[Tensor, " row"]) -> list[Tensor]:
        """From the gradient of theta, after `backward`, to those of the learned tensors."""
        return [self._adapted.sum(0) + theta]


class LatentStep:
    """One SGD step of several tasks on a block with a latent; the equations are at the top of this file."""

    def __init__(
        self,
        bias: Tensor,
        transform: LatentMap,
        gradient: Float[Tensor, "task row"],
        inner_lr: Sequence[Tensor],
    ) -> None:
        self._z, self._weight, self._bias = transform.latent, transform.weight, bias
        self._gradient = gradient
        self._z_lr, self._weight_lr, self._bias_lr = inner_lr
        self._z_gradient = gradient @ self._weight
        self._z_adapted = torch.addcmul(self._z, self._z_gradient, self._z_lr, value=-1)
        self._overlap = self._z_adapted @ self._z
        self._theta_lr = (self._weight_lr * self._overlap + self._bias_lr).unsqueeze(1)
        self.theta = torch.addmm(bias, self._z_adapted, self._weight.t())
        self.theta.addcmul_(gradient, self._theta_lr, value=-1)

    def interpolated(self, theta: Float[Tensor, " row"], rate: float) -> Float[Tensor, "task row"]:
        """Theta of (1 - rate) * parameters + rate * adapted parameters, given that of the parameters.

        z, W and c are interpolated each, so theta is not the interpolation of theta and theta': it differs by
        rate (1 - rate) (W' - W) (z - z') = rate (1 - rate) a_W (z . z' - z . z) g.
        """
        change = rate * (1 - rate) * self._weight_lr * (self._overlap - self._z @ self._z)
        between = torch.lerp(theta.expand_as(self.theta), self.theta, rate)
        return between.addcmul_(self._gradient, change.unsqueeze(1))

    def block(self) -> Block:
        """z', W' and c' of every task: large, and needed only where learning goes on from them."""
        steps = self._gradient.unsqueeze(2) * (self._weight_lr * self._z)
        bias = torch.addcmul(self._bias, self._gradient, self._bias_lr, value=-1)
        return Block(bias, LatentMap(self._z_adapted, self._weight - steps))

    def backward(self, adapted: Float[Tensor, "task row"]) -> tuple[Float[Tensor, "task row"], list[Tensor]]:
        """From the gradient of theta' to those of g and of the inner learning rates."""
        along_step = (adapted * self._gradient).sum(1)
        overlap = (-self._weight_lr * along_step).unsqueeze(1)
        z_adapted = torch.addcmul(adapted @ self._weight, overlap, self._z)
        z_gradient = -self._z_lr * z_adapted
        gradient = torch.addcmul(z_gradient @ self._weight.t(), adapted, self._theta_lr, value=-1)
        self._z_sum = torch.addcmul(z_adapted, overlap, self._z_adapted).sum(0)
        self._adapted, self._right = adapted, (self._z_adapted, z_gradient, self._z.unsqueeze(0))
        z_lr = -(z_adapted * self._z_gradient).sum()
        return gradient, [z_lr, -(self._overlap * along_step).sum(), -along_step.sum()]

    def gradients(self, theta: Float[Tensor, " row"]) -> list[Tensor]:
        """From the gradient of theta, after `backward`, to those of the learned tensors."""
        latent = torch.addmv(self._z_sum, self._weight.t(), theta)
        left = torch.cat((self._adapted, self._gradient, theta.unsqueeze(0)))
        weight = torch.mm(left.t(), torch.cat(self._right), out=gradient_memory(self._weight))
        return [latent, weight, self._adapted.sum(0) + theta]


@dataclass(frozen=True)
class MetaGradient:
    """Gradients of the outer loss after an inner step; those of W hold until the next step."""

    tensors: list[Tensor]
    """Of the network's learned tensors, in the order of `Network.tensors`."""
    raw_inner_lr: Float[Tensor, " tensor"]
    """Of the raw inner learning rates, in the same order."""
    others: tuple[Tensor, ...]
    """Of whatever else the inner loss depends on."""


class InnerStep:
    """One inner step of several tasks on a network: theta before and after, and the way back."""

    def __init__(
        self,
        network: Network,
        raw_inner_lr: Float[Tensor, " tensor"],
        loss: InnerLoss,
        tasks: int,
        differentiable: bool = True,
    ) -> None:
        """Take the step of every task; with `differentiable`, `backward` can follow."""
        self._network, self._raw_inner_lr = network, raw_inner_lr
        self._before = leaves(network.theta())
        with torch.enable_grad():
            theta = [block.expand(tasks, -1) for block in self._before]
            losses = loss(network.layers(theta))
            self._gradients = torch.autograd.grad(losses.sum(), theta, create_graph=differentiable)
        self.losses = losses.detach()
        inner_lr = iter(softplus(raw_inner_lr).unbind())
        self._steps = [
            _block_step(block, gradient.detach(), [next(inner_lr) for _ in block.tensors()])
            for block, gradient in zip(network.blocks, self._gradients, strict=True)
        ]
        self._after = [step.theta.requires_grad_(differentiable) for step in self._steps]
        self.layers = network.layers(self._after)

    def network(self) -> Network:
        """The adapted network, with a task dimension in every learned tensor."""
        with torch.no_grad():
            return Network(self._network.sizes, tuple(step.block() for step in self._steps))

    def interpolated(self, rate: float) -> list[Layer]:
        """Layers of (1 - rate) * parameters + rate * adapted parameters; no gradient flows through them."""
        pairs = zip(self._steps, self._before, strict=True)
        with torch.no_grad():
            return self._network.layers([step.interpolated(before, rate) for step, before in pairs])

    def backward(self, outer_loss: Float[Tensor, ""], others: Sequence[Tensor] = ()) -> MetaGradient:
        """Gradients of the outer loss, which was computed from `layers`.

        `others` are leaves that the inner loss depends on beside the network, such as a coefficient.
        """
        adapted = torch.autograd.grad(outer_loss, self._after)
        with torch.no_grad():
            ways = [step.backward(gradient) for step, gradient in zip(self._steps, adapted, strict=True)]
        # The products' sum has the gradients that `grad_outputs` asks for, without torch's import of sympy (1.4 s).
        products = [
            torch.dot(gradient.flatten(), way.flatten())
            for gradient, (way, _) in zip(self._gradients, ways, strict=True)
        ]
        inputs = [*self._before, *others]
        second_order = torch.autograd.grad(torch.stack(products).sum(), inputs, materialize_grads=True)
        theta, rest = second_order[: len(self._before)], second_order[len(self._before) :]
        with torch.no_grad():
            pairs = zip(self._steps, theta, strict=True)
            tensors = [tensor for step, gradient in pairs for tensor in step.gradients(gradient)]
            inner_lr = torch.stack([scalar for _, scalars in ways for scalar in scalars])
            return MetaGradient(tensors, inner_lr * self._raw_inner_lr.sigmoid(), rest)


def leaves(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The same tensors, as leaves that gradients can be taken of."""
    return [tensor.detach().requires_grad_() for tensor in tensors]


def raw_positive(value: float, count: int, device: torch.device) -> Float[Tensor, " tensor"]:
    """Raw parameters of learned positive numbers: log(value), of which softplus is nearly a small `value`."""
    return torch.full((count,), math.log(value), device=device)


def theta_gradients(network: Network, theta: Sequence[Float[Tensor, "*task _"]]) -> list[Tensor]:
    """From the gradient of theta to those of the learned tensors of a network that takes no inner step.

    Those of W hold until the next call. A network of several tasks has a task dimension everywhere.
    """
    gradients: list[Tensor] = []
    for block, gradient in zip(network.blocks, theta, strict=True):
        if block.transform is not None:
            latent, weight = block.transform.latent, block.transform.weight
            memory = gradient_memory(weight)
            gradients.append(_of_latent(weight, gradient))
            gradients.append(torch.mul(gradient.unsqueeze(-1), latent.unsqueeze(-2), out=memory))
        gradients.append(gradient)
    return gradients


def _of_latent(
    weight: Float[Tensor, "*task row latent"], gradient: Float[Tensor, "*task row"]
) -> Float[Tensor, "*task latent"]:
    """W^T g; of several tasks as g^T W, four times as fast on a processor as the product of W^T."""
    if gradient.dim() == 1:
        return weight.t() @ gradient
    return (gradient.unsqueeze(-2) @ weight).squeeze(-2)


def _block_step(block: Block, gradient: Tensor, inner_lr: list[Tensor]) -> PlainStep | LatentStep:
    if block.transform is None:
        return PlainStep(block.bias, gradient, inner_lr)
    return LatentStep(block.bias, block.transform, gradient, inner_lr)
