"""Whose a run's folder is: nothing that lies there is overwritten by another run."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmark.errors import RunError
from benchmark.run_config import as_toml


def refuse_existing(folder: Path) -> None:
    """Raise RunError where a run, or what is left of one, lies in the folder."""
    if any((folder / name).exists() for name in ("config.toml", "result.csv", "checkpoint")):
        state = "a finished run" if (folder / "result.csv").exists() else "an unfinished run"
        raise RunError(
            f"{folder} holds {state}. Go on with it by --resume, or choose another --out; nothing was changed."
        )


def refuse_other_run(folder: Path, identity: Mapping[str, Any]) -> None:
    """Raise RunError where a run lies in the folder that has no checkpoint and is not the beginning of this one."""
    path = folder / "config.toml"
    if (folder / "result.csv").exists():
        raise RunError(f"{folder} holds results but no checkpoint to resume from; choose another --out.")
    if not path.exists():
        return
    try:
        stored = tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read ({error}); choose another --out.") from error
    wanted = tomllib.loads(as_toml(identity))
    different = [key for key in wanted if wanted[key] != stored.get(key)]
    if different:
        raise RunError(
            f"{folder} holds the start of another run (other {', '.join(different)}); choose another --out."
        )
