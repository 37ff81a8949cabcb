"""What a run is asked to do, checked before anything is computed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import mujoco
import tomli_w
import torch

from benchmark import families
from benchmark.algorithm import Algorithm, AlgorithmConfig
from benchmark.errors import ConfigError
from benchmark.families.stepping import cores
from benchmark.protocol import PROTOCOL_VERSION, ContextChoice


@dataclass(frozen=True)
class RunConfig:
    """One algorithm, family, split and seed."""

    algorithm: str
    """A built-in name, `module:Class`, or `path.py:Class`."""
    family: str = "cheetah-dir"
    """Task family."""
    split: str = "standard"
    """Train and test tasks."""
    tier: str = "mixed"
    """Data that is meta-trained on."""
    size: str = "small"
    """Size of the data sets."""
    steps: int = 5_000
    """Meta-training steps."""
    seed: int = 0
    """Seed of training."""
    device: str = "cpu"
    """Where the tensors are."""
    threads: int = field(default_factory=cores)
    """Threads of torch on the CPU; part of the configuration, because sums round differently with another."""
    evaluate_every: int = 500
    """Steps between two evaluations, with a checkpoint each."""
    contexts: tuple[ContextChoice, ...] = (ContextChoice(),)
    """Contexts to test with at the end; the first is the one of the learning curve."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the algorithm that differ from its defaults."""

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("seed", 0), ("threads", 1), ("evaluate_every", 1)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name} = {getattr(self, name)} is too small: it takes {least} or more.")
        family = families.family(self.family)
        family.require_simulator()
        family.split(self.split)
        rounded = tuple(choice.in_episodes(family.horizon) for choice in self.contexts)
        if not rounded or len(set(rounded)) < len(rounded):
            raise ConfigError("contexts must be different from one another, and there must be one at least.")
        object.__setattr__(self, "contexts", rounded)

    def torch_device(self) -> torch.device:
        """The device; raises ConfigError if there is none of that name here."""
        try:
            device = torch.device(self.device)
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            reason = str(error).splitlines()[0]
            raise ConfigError(
                f"device '{self.device}' cannot be used here: {reason} Try --device cpu."
            ) from error
        return device

    def identity(self) -> dict[str, Any]:
        """What two runs must share to be the same run, apart from their length."""
        return {
            "algorithm": self.algorithm,
            "family": families.family(self.family).name,
            "split": self.split,
            "tier": self.tier,
            "size": self.size,
            "seed": self.seed,
            "device": self.device,
            "threads": self.threads,
            "evaluate_every": self.evaluate_every,
            "context": str(self.contexts[0]),
        }

    def full_identity(self, kind: type[Algorithm], settings: AlgorithmConfig) -> dict[str, Any]:
        """The same, of a run of this method with these settings; only the data and torch's version are left out."""
        return {
            **self.identity(),
            "algorithm_name": kind.name,
            "algorithm_version": kind.version,
            "algorithm_settings": {name: getattr(settings, name) for name in settings.__dataclass_fields__},
            "family_id": families.family(self.family).id,
            "protocol": PROTOCOL_VERSION,
            "mujoco": mujoco.__version__,
        }


def as_toml(content: Mapping[str, Any]) -> str:
    """The content as TOML, which has no null: keys without a value are left out."""
    return tomli_w.dumps(_without_none(content))


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return value


def settings_text(config: AlgorithmConfig) -> str:
    """Settings that differ from the defaults of their class, `key=value` joined by `;`, in the order of fields."""
    defaults = type(config)()
    names = [
        name for name in type(config).__dataclass_fields__ if getattr(config, name) != getattr(defaults, name)
    ]
    return ";".join(f"{name}={getattr(config, name)}" for name in names)
