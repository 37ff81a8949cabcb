"""What a run is asked to do, checked before anything is computed."""

import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import mujoco
import tomli_w
import torch

from benchmark import families
from benchmark.algorithm import Algorithm, AlgorithmConfig
from benchmark.errors import AlgorithmError, ConfigError, UnknownNameError
from benchmark.families.stepping import cores
from benchmark.protocol import PROTOCOL_VERSION, ContextChoice

Protocol = Literal["standard", "online-finetune"]
LARGEST_SEED = 2**63 - 1
"""What tables of results take: whole numbers of 64 bits."""
MOST_THREADS = 4096
"""More than machines have cores; torch dies of some hundred thousand."""


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
    """Where the tensors are; of torch's form, such as cuda:1, but it need not be of this machine."""
    threads: int = field(default_factory=cores)
    """Threads of torch on the CPU; part of the configuration, because sums round differently with another."""
    evaluate_every: int = 500
    """Steps between two evaluations, with a checkpoint each."""
    contexts: tuple[ContextChoice, ...] = (ContextChoice(),)
    """Contexts to test with at the end; the first is the one of the learning curve."""
    protocol: Protocol = "standard"
    """`online-finetune`: the method also goes on learning in the test tasks at the end (`online_finetuning.py`)."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the algorithm that differ from its defaults."""

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("seed", 0), ("threads", 1), ("evaluate_every", 1)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name} = {getattr(self, name)} is too small: it takes {least} or more.")
        for name, most in (("seed", LARGEST_SEED), ("threads", MOST_THREADS)):
            if getattr(self, name) > most:
                raise ConfigError(f"{name} = {getattr(self, name)} is too large: it takes {most} or less.")
        try:
            torch.device(self.device)
        except RuntimeError as error:
            raise self._without_device(error) from error
        if self.protocol not in get_args(Protocol):
            raise UnknownNameError("protocol", self.protocol, get_args(Protocol))
        family = families.family(self.family)
        family.require_simulator()
        family.split(self.split)
        rounded = tuple(choice.in_episodes(family.horizon) for choice in self.contexts)
        if not rounded or len(set(rounded)) < len(rounded):
            raise ConfigError("contexts must be different from one another, and there must be one at least.")
        object.__setattr__(self, "contexts", rounded)

    @property
    def online(self) -> bool:
        """Whether the method goes on learning in the test tasks."""
        return self.protocol == "online-finetune"

    def torch_device(self) -> torch.device:
        """The device; raises ConfigError if it is not of this machine."""
        try:
            device = torch.device(self.device)
            torch.Generator(device)
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            raise self._without_device(error) from error
        return device

    def _without_device(self, error: Exception) -> ConfigError:
        reason = str(error).splitlines()[0].rstrip(".")
        return ConfigError(
            f"device '{self.device}' cannot be used here: {reason}. Choose another device, such as cpu."
        )

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


def usual_context(protocol: str) -> str:
    """The context of the learning curve where none is asked for."""
    return "random" if protocol == "online-finetune" else "mixed"


def usual_settings(kind: type[Algorithm], protocol: str) -> Mapping[str, Any]:
    """Settings of the method that the protocol changes where they are not given."""
    return kind.online_settings if protocol == "online-finetune" else {}


def check_protocol(kind: type[Algorithm], protocol: str) -> None:
    """Raise AlgorithmError where the method cannot be tested by that protocol."""
    if protocol == "online-finetune" and kind.fine_tuner is Algorithm.fine_tuner:
        raise AlgorithmError(
            f"{kind.name} does not learn online: it has no fine_tuner (see benchmark/algorithm.py). Run it by "
            "--protocol standard."
        )


def as_toml(content: Mapping[str, Any]) -> str:
    """The content as TOML, which has no null: keys without a value are left out."""
    return tomli_w.dumps(_without_none(content))


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return value


def from_stored(stored: Mapping[str, Any], where: Path) -> RunConfig:
    """The configuration that a run wrote as its config.toml; raises ConfigError where it is not one."""
    types = {name: type_ for name, type_ in typing.get_type_hints(RunConfig).items() if type_ in (str, int)}
    contexts, settings = stored.get("contexts"), stored.get("algorithm_settings")
    wrong = [name for name, type_ in types.items() if type(stored.get(name)) is not type_]
    if wrong or not isinstance(settings, dict) or not isinstance(contexts, list):
        raise ConfigError(
            f"{where} is no configuration of a run: see {', '.join(wrong) or 'contexts, settings'}."
        )
    parts = [str(text).partition(":") for text in contexts]
    if not all(size.isascii() and size.isdecimal() and len(size) < 10 for _, _, size in parts):
        raise ConfigError(f"{where} has contexts that are not SOURCE:SIZE.")
    choices = tuple(ContextChoice(source, int(size)) for source, _, size in parts)
    return RunConfig(contexts=choices, settings=settings, **{name: stored[name] for name in types})


def settings_text(config: AlgorithmConfig) -> str:
    """Settings that differ from the defaults of their class, `key=value` joined by `;`, in the order of fields."""
    defaults = type(config)()
    names = [
        name for name in type(config).__dataclass_fields__ if getattr(config, name) != getattr(defaults, name)
    ]
    return ";".join(f"{name}={getattr(config, name)}" for name in names)


def differences(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """What two identities differ in, such as `seed: 0 there, 1 here`; of tables only the entries that do."""
    found: list[str] = []
    for key in sorted({*stored, *wanted}):
        there, here = stored.get(key), wanted.get(key)
        entries: list[str] = []
        if isinstance(there, Mapping) and isinstance(here, Mapping):
            entries = differences(there, here)  # none where one lacks what is None in the other
        if there != here:
            found += entries or [f"{key}: {there!r} there, {here!r} here"]
    return found
