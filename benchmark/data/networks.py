"""Batches of small networks with a hand-written backward pass, and their optimizer.

All parameters of a kind lie in one flat buffer, so that one fused Adam step updates every network; where the
processor multiplies bfloat16, matrix products use it, except in the last layers, and the master weights stay float32.
Written without autograd because a batch of small networks is bound by the number of operations, not by arithmetic.
"""

import math

import torch
from torch import Tensor


def native_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 matrices itself."""
    capability = torch.backends.cpu.get_cpu_capability()
    return capability.startswith("AVX512") and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


class Adam:
    """One fused Adam over one flat parameter buffer."""

    def __init__(self, parameters: Tensor, learning_rate: float) -> None:
        self.parameters, self.learning_rate = parameters, learning_rate
        self.gradient = torch.zeros_like(parameters)
        self.first = torch.zeros_like(parameters)
        self.second = torch.zeros_like(parameters)
        self.count = torch.zeros(())

    def step(self) -> None:
        """Update the parameters from `gradient`."""
        self.count += 1
        torch._fused_adam_(
            [self.parameters], [self.gradient], [self.first], [self.second], [], [self.count],
            lr=self.learning_rate, beta1=0.9, beta2=0.999, weight_decay=0.0, eps=1e-8,
            amsgrad=False, maximize=False,
        )  # fmt: skip

    def tensors(self) -> dict[str, Tensor]:
        """What resuming needs, by reference."""
        return {
            "parameters": self.parameters,
            "first": self.first,
            "second": self.second,
            "count": self.count,
        }


class BatchedMLP:
    """`networks` perceptrons of two hidden ReLU layers, each for one task or for several.

    Inputs and outputs are (network * task, batch, feature). Tasks of one network share its weights, but each has
    biases of its own in the first layer, which is what a one-hot input that names the task would come to.
    """

    def __init__(
        self, networks: int, sizes: tuple[int, int, int, int], product_type: torch.dtype,
        random: torch.Generator, output_scale: float = 1.0, tasks: int = 1,
    ) -> None:  # fmt: skip
        """`tasks`: of each network."""
        self.networks, self.tasks = networks, tasks
        self.shapes = [
            (networks, rows, columns)
            for inputs, outputs in zip(sizes[:-1], sizes[1:], strict=True)
            for rows, columns in ((inputs, outputs), (1, outputs))
        ]
        self.shapes[1] = (networks * tasks, 1, sizes[1])
        self.parameters = torch.zeros(sum(math.prod(shape) for shape in self.shapes))
        self.masters = self._views(self.parameters)
        for index, tensor in enumerate(self.masters):
            scale = output_scale if index >= 4 else 1.0
            tensor.uniform_(-1, 1, generator=random).mul_(scale / math.sqrt(sizes[index // 2]))
        self.low = product_type != torch.float32
        self.product_type = product_type
        self._working = self.parameters.to(product_type) if self.low else self.parameters
        self.weights = self._views(self._working)

    def _views(self, flat: Tensor) -> list[Tensor]:
        pieces = torch.split(flat, [math.prod(shape) for shape in self.shapes])
        return [piece.view(shape) for piece, shape in zip(pieces, self.shapes, strict=True)]

    def prepare_training(self, learning_rate: float) -> Adam:
        """The optimizer of these parameters; `backward` writes into its gradient."""
        self.adam = Adam(self.parameters, learning_rate)
        self._gradient = torch.zeros_like(self._working) if self.low else self.adam.gradient
        self._gradients = self._views(self._gradient)
        return self.adam

    def refresh(self) -> None:
        """Bring the working copy up to date after the master weights changed."""
        if self.low:
            self._working.copy_(self.parameters)

    def forward(self, inputs: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
        """Outputs in float32 and what `backward` needs."""
        w1, b1, w2, b2, w3, b3 = self.weights
        inputs = self._of_networks(inputs)
        if self.tasks == 1:
            hidden1 = torch.baddbmm(b1, inputs, w1).relu_()
        else:
            hidden1 = self._of_networks(self._of_tasks(torch.bmm(inputs, w1)).add_(b1).relu_())
        hidden2 = torch.baddbmm(b2, hidden1, w2).relu_()
        if self.low:
            output = torch.baddbmm(self.masters[5], hidden2.float(), self.masters[4])
        else:
            output = torch.baddbmm(b3, hidden2, w3)
        return self._of_tasks(output), (inputs, hidden1, hidden2)

    def _of_networks(self, rows: Tensor) -> Tensor:
        """(network * task, batch, feature) as (network, task * batch, feature)."""
        return rows.reshape(self.networks, -1, rows.shape[-1])

    def _of_tasks(self, rows: Tensor) -> Tensor:
        return rows.view(self.networks * self.tasks, -1, rows.shape[-1])

    def _hidden_gradients(self, output_gradient: Tensor, saved: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        _, hidden1, hidden2 = saved
        second = torch.bmm(output_gradient, self.weights[4].transpose(1, 2))
        second = torch.ops.aten.threshold_backward(second, hidden2, 0)
        first = torch.bmm(second, self.weights[2].transpose(1, 2))
        return torch.ops.aten.threshold_backward(first, hidden1, 0), second

    def backward(self, output_gradient: Tensor, saved: tuple[Tensor, Tensor, Tensor]) -> None:
        """Write the gradient of all parameters into the optimizer."""
        inputs, hidden1, hidden2 = saved
        last = self._of_networks(output_gradient.to(self.product_type))
        first, second = self._hidden_gradients(last, saved)
        for index, (layer_input, gradient) in enumerate(
            ((inputs, first), (hidden1, second), (hidden2, last))
        ):
            torch.bmm(layer_input.transpose(1, 2), gradient, out=self._gradients[2 * index])
            biased = self._of_tasks(gradient) if index == 0 else gradient
            torch.sum(biased, 1, keepdim=True, out=self._gradients[2 * index + 1])
        if self.low:
            self.adam.gradient.copy_(self._gradient)

    def input_gradient(self, output_gradient: Tensor, saved: tuple[Tensor, ...], start: int) -> Tensor:
        """Gradient of the inputs from feature `start` on, in float32."""
        last = self._of_networks(output_gradient.to(self.product_type))
        first, _ = self._hidden_gradients(last, saved)
        return self._of_tasks(torch.bmm(first, self.weights[0][:, start:].transpose(1, 2)).float())

    def update(self) -> None:
        """One Adam step from the gradient that `backward` left."""
        self.adam.step()
        self.refresh()
