"""Adam with its whole state in view, so that it can be saved, restored and checked like any other tensor."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim.adam import adam


class Adam:
    """Adam (Kingma and Ba, 2015) in one fused kernel, with PyTorch's default betas and epsilon."""

    def __init__(self, tensors: Sequence[Tensor], lr: float) -> None:
        """Optimise `tensors` in place with learning rate `lr`."""
        self.tensors, self.lr = list(tensors), lr
        self._means = [torch.zeros_like(tensor) for tensor in self.tensors]
        self._squares = [torch.zeros_like(tensor) for tensor in self.tensors]
        self._steps = [torch.zeros((), device=tensor.device) for tensor in self.tensors]

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        """One step along the gradients, given in the order of the tensors."""
        adam(
            self.tensors,
            list(gradients),
            self._means,
            self._squares,
            [],
            self._steps,
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=self.lr,
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
        )

    def state(self) -> dict[str, list[Tensor]]:
        """The moments and step counts; the tensors themselves are their owner's."""
        return {"means": self._means, "squares": self._squares, "steps": self._steps}
