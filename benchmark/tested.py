"""The method under training, as it is tested: on the processor, where the simulations are.

A policy on a GPU would wait for it, and for whatever else it does, at each of an episode's time steps.
"""

from collections.abc import Callable

import torch

from benchmark import calls
from benchmark.algorithm import Algorithm, AlgorithmConfig
from benchmark.checkpoint import on_device
from benchmark.randomness import torch_stream

PROCESSOR = torch.device("cpu")
Build = Callable[[AlgorithmConfig, torch.device, torch.Generator], Algorithm]


class Tested:
    """A method that is trained on some device, for tests on the processor."""

    def __init__(
        self, trained: Algorithm, settings: AlgorithmConfig, build: Build, device: torch.device, random: torch.Generator
    ) -> None:  # fmt: skip
        """`trained` is on `device` and draws from `random`; `build` makes another instance of it."""
        self._trained, self._build = trained, build
        self._apart = device.type != PROCESSOR.type
        self.random = torch_stream(0, "test") if self._apart else random
        """What the method that is tested draws from."""
        self._copy = self.build(settings) if self._apart else trained

    def build(self, settings: AlgorithmConfig) -> Algorithm:
        """A new instance on the processor."""
        return self._build(settings, PROCESSOR, self.random)

    def now(self) -> Algorithm:
        """The method as it is now: itself where it is trained on the processor, else a copy made anew."""
        if self._apart:
            calls.load_state(self._copy, on_device(calls.state(self._trained), PROCESSOR))
        return self._copy
