"""Checkpoints that a kill, a full disk or a flipped byte cannot turn into a wrong run.

checkpoint/latest.json          {"file", "sha256", "step", "identity"}, replaced last, in one step
checkpoint/step-00001000.pt     the state; the one before it is deleted only after latest.json names this one
"""

import json
import math
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmark.errors import CheckpointError, RunError
from benchmark.files import sha256_of_file, write_atomically, write_text
from benchmark.run_config import differences

GO_ON = "`run --resume`, or the same `sweep`, goes on"
"""How a run that was begun by either is gone on with."""


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one run; `identity` says what may resume from them."""

    folder: Path
    identity: Mapping[str, Any]

    @property
    def _latest(self) -> Path:
        return self.folder / "latest.json"

    def save(self, step: int, state: Mapping[str, Any]) -> None:
        """Keep this state; raises RunError if it cannot be written or is not finite, and the last one stays."""
        broken = not_finite(state)
        if broken:
            raise RunError(
                f"{broken} is not finite at step {step}; nothing was saved. {self.what_stays()} "
                "Lower the learning rate, or look at metrics.csv for where it began."
            )
        path = self.folder / f"step-{step:08d}.pt"
        try:
            write_atomically(path, lambda temporary: _write(temporary, state))
            manifest = {
                "file": path.name,
                "sha256": sha256_of_file(path),
                "step": step,
                "identity": self.identity,
            }
            write_text(self._latest, json.dumps(manifest, indent=1))
        except (OSError, RuntimeError) as error:
            raise RunError(
                f"the checkpoint of step {step} cannot be written to {self.folder}: {error}. {self.what_stays()} "
                f"Free some space; then {GO_ON}."
            ) from error
        for old in self.folder.glob("step-*.pt"):
            if old != path:
                old.unlink()

    def what_stays(self) -> str:
        """A sentence: which checkpoint there is."""
        if not self._latest.exists():
            return "There is no earlier checkpoint."
        return f"The checkpoint of step {json.loads(self._latest.read_text())['step']} stays."

    def exists(self) -> bool:
        """Whether there is something to resume from."""
        return self._latest.exists()

    def load(self, device: torch.device) -> dict[str, Any]:
        """The last state; raises CheckpointError if it is damaged or belongs to another configuration."""
        advice = "Restore it from a copy, or start again with another --out."
        try:
            manifest = json.loads(self._latest.read_text())
            path, expected = self.folder / manifest["file"], manifest["sha256"]
            stored = manifest["identity"]
            found = sha256_of_file(path)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(
                f"the checkpoint in {self.folder} is damaged ({error}). {advice}"
            ) from error
        if found != expected:
            raise CheckpointError(
                f"{path} is damaged or was cut short: its SHA-256 is not the one saved. {advice}"
            )
        wanted = json.loads(json.dumps(self.identity))
        different = differences(stored, wanted)
        if different:
            raise CheckpointError(
                f"the checkpoint in {self.folder} belongs to another configuration ({'; '.join(different)}). "
                "Resume with the same options, or choose another --out."
            )
        try:
            state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        except (RuntimeError, EOFError, OSError, pickle.UnpicklingError) as error:
            raise CheckpointError(f"{path} cannot be read ({error}). {advice}") from error
        return state


def _write(path: Path, state: Mapping[str, Any]) -> None:
    with path.open("wb") as file:
        torch.save(dict(state), file)


def not_finite(state: Any, name: str = "state") -> str | None:
    """The path of a number in nested dicts and lists that is NaN or infinite, if there is one."""
    if isinstance(state, torch.Tensor):
        return name if state.is_floating_point() and not bool(torch.isfinite(state).all()) else None
    if isinstance(state, float):
        return None if math.isfinite(state) else name
    items = (
        state.items()
        if isinstance(state, Mapping)
        else enumerate(state)
        if isinstance(state, (list, tuple))
        else ()
    )
    for key, value in items:
        found = not_finite(value, f"{name}/{key}")
        if found:
            return found
    return None


def on_device(state: Any, device: torch.device) -> Any:
    """The same nested dicts and lists with every tensor on the device."""
    if isinstance(state, torch.Tensor):
        return state.to(device)
    if isinstance(state, Mapping):
        return {key: on_device(value, device) for key, value in state.items()}
    return [on_device(value, device) for value in state] if isinstance(state, (list, tuple)) else state
