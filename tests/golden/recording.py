"""A recording of the authors' program: one meta-step on fixed random batches."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmark.algorithm import FamilyDescription, LifePart, Transitions

FIELDS = {
    "observations": "observations",
    "actions": "actions",
    "rewards": "rewards",
    "next_observations": "next_observations",
    "terminated": "dones",
    "returns": "returns",
    "final_observations": "terminal_observations",
    "final_discounts": "terminal_discounts",
}
"""Name in `Transitions`, name in a recording."""


@dataclass(frozen=True)
class Recording:
    """The arrays of one file, and what can be read off them."""

    path: Path
    arrays: dict[str, np.ndarray]

    @classmethod
    def load(cls, path: Path) -> "Recording":
        with np.load(path) as file:
            return cls(path, {name: file[name] for name in file.files})

    @property
    def variant(self) -> str:
        """The file's name without its number: `standard-0.npz` records the variant `standard`."""
        return self.path.stem.rsplit("-", 1)[0]

    def tensor(self, name: str) -> Tensor:
        return torch.from_numpy(np.array(self.arrays[name]))

    def has(self, prefix: str) -> bool:
        return any(name.startswith(prefix) for name in self.arrays)

    def batch(self, part: str) -> Transitions:
        """The `inner` or `outer` batches of all tasks."""
        fields = {}
        for field, recorded in FIELDS.items():
            tasks = [self.tensor(f"{part}/{task}/{recorded}") for task in range(self.tasks)]
            stacked = torch.stack(tasks)
            fields[field] = stacked if "observations" in field or field == "actions" else stacked.squeeze(-1)
        return Transitions(**fields)

    @property
    def tasks(self) -> int:
        return len({name.split("/")[1] for name in self.arrays if name.startswith("inner/")})

    def family(self) -> FamilyDescription:
        inner = self.batch("inner")
        return FamilyDescription(
            name="recorded-v1",
            observation_size=inner.observations.shape[-1],
            action_size=inner.actions.shape[-1],
            horizon=200,
            train_tasks=self.tasks,
            dynamics_differ=False,
        )

    def plain(self) -> bool:
        """Whether layers are plain ones with a bias transform."""
        return "policy/seq.fc_0._bias" in self.arrays

    def layers(self, network: str, sequence: str) -> list[str]:
        """Names of the layers of `seq` or `head_seq`, in order."""
        start = f"{network}/{sequence}."
        names = {name[len(start) :].split(".")[0] for name in self.arrays if name.startswith(start)}
        ordered = sorted(names, key=lambda name: int(name.removeprefix("fc_")))
        return [f"{sequence}.{name}" for name in ordered]

    def tensors(self, prefix: str, network: str, sequence: str = "seq") -> list[Tensor]:
        """What `<prefix><network>/...` records, in the order and layout of `Network.tensors`.

        Scalars, such as step sizes, are recorded under the names of the tensors that they belong to.
        """
        names = ["z", "weight", "fc.bias"]
        if self.plain():
            names = ["_linear.weight", "_bias", "_weight", "_linear.bias"]
        tensors = []
        for layer in self.layers(network, sequence):
            for name in names:
                tensor = self.tensor(f"{prefix}{network}/{layer}.{name}")
                if name in ("_linear.weight", "_weight") and tensor.dim() == 2:
                    tensor = tensor.t().contiguous()
                tensors.append(tensor.flatten() if name == "_linear.weight" and tensor.dim() else tensor)
        return tensors


class RecordedData:
    """The training data that a recorded meta-step saw: all tasks, and the recorded batches."""

    def __init__(self, recording: Recording) -> None:
        self.tasks = recording.tasks
        self._inner, self._outer = recording.batch("inner"), recording.batch("outer")

    def sample_tasks(self, count: int) -> Tensor:
        assert count == self.tasks
        return torch.arange(self.tasks)

    def contiguous(self, tasks: Tensor, size: int, part: LifePart = "all") -> Transitions:
        assert (size, part) == (self._inner.size, "all")
        return self._inner

    def transitions(self, tasks: Tensor, size: int) -> Transitions:
        assert size == self._outer.size
        return self._outer


def config_of(recording: Recording) -> dict[str, Any]:
    """The fields that every method's configuration shares, read off the sizes of the recording."""
    layers = recording.layers("policy", "seq")
    inputs = recording.family().observation_size
    return {
        "hidden_size": _outputs(recording, layers[0], inputs),
        "hidden_layers": len(layers) - 1,
        "tasks_per_step": recording.tasks,
    }


def latent_size(recording: Recording) -> dict[str, int]:
    """The field `latent_size`; plain layers have none."""
    return {} if recording.plain() else {"latent_size": len(recording.arrays["policy/seq.fc_0.z"])}


def advantage_hidden_size(recording: Recording) -> dict[str, int]:
    """The field `advantage_hidden_size`, where there is an advantage head."""
    head = recording.layers("policy", "head_seq")
    inputs = config_of(recording)["hidden_size"] + recording.family().action_size
    return {"advantage_hidden_size": _outputs(recording, head[0], inputs)} if head else {}


def batch_sizes(recording: Recording) -> dict[str, int]:
    """The fields `inner_batch` and `outer_batch`."""
    return {f"{part}_batch": recording.batch(part).size for part in ("inner", "outer")}


def _outputs(recording: Recording, layer: str, inputs: int) -> int:
    """Outputs of a policy layer: a row of theta for every weight and bias, or a bias transform of that length."""
    if recording.plain():
        return len(recording.arrays[f"policy/{layer}._bias"])
    return len(recording.arrays[f"policy/{layer}.fc.bias"]) // (inputs + 1)
