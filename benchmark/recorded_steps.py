"""Meta-training steps on a GPU, recorded once as a CUDA graph and replayed.

A step of small networks is hundreds of operations of a few microseconds each: started one by one, the GPU waits for
the program most of the time. The first steps run as they are written, one is recorded, and all later ones are replays
of the record, in which none of the Python runs any more: `Algorithm.fixed_steps` says which methods bear it.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from benchmark import calls
from benchmark.algorithm import Algorithm, TrainingData

FIRST_STEPS = 3
"""Steps made as they are written: whatever is built at first use is built in them."""


MakeStep = Callable[[int], dict[str, Tensor]]
"""Makes the training step of that number and gives its metrics, which hold until the next one."""


def step_maker(
    algorithm: Algorithm, data: TrainingData, generators: Sequence[torch.Generator], device: torch.device
) -> MakeStep:
    """What makes the method's training steps on the device, drawing from no other generators than these."""

    def written(step: int) -> dict[str, Tensor]:
        return calls.update(algorithm, data, step)

    if device.type == "cuda" and getattr(algorithm, "fixed_steps", False):
        return RecordedSteps(written, generators, device)
    return written


class RecordedSteps:
    """Steps on a GPU of a method that has `fixed_steps`."""

    def __init__(self, step: MakeStep, generators: Sequence[torch.Generator], device: torch.device) -> None:
        """`step` makes a step as it is written."""
        self._step, self._generators = step, generators
        self._stream: torch.cuda.Stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._graph: torch.cuda.CUDAGraph | None = None
        self._metrics: dict[str, Tensor] = {}
        self._made = 0

    def __call__(self, step: int) -> dict[str, Tensor]:
        """Make the next step, which `step` is the number of."""
        self._made += 1
        if self._made <= FIRST_STEPS:
            return self._beside(step)
        if self._graph is None:
            self._graph = self._recorded(step)
        self._graph.replay()
        return self._metrics

    def _beside(self, step: int) -> dict[str, Tensor]:
        """One step on the stream that the record is made on."""
        torch.cuda.synchronize(self._stream.device)
        with torch.cuda.stream(self._stream):
            metrics = self._step(step)
        self._stream.synchronize()
        return metrics

    def _recorded(self, step: int) -> torch.cuda.CUDAGraph:
        """The record of a step; recording it makes none."""
        graph = torch.cuda.CUDAGraph()
        for generator in self._generators:
            graph.register_generator_state(generator)
        with torch.cuda.graph(graph, stream=self._stream):
            self._metrics = self._step(step)
        return graph
