"""Experiment files: which runs there shall be, and in which folder each lies.

    [[runs]]                                   # a table of runs; a file has any number of them
    algorithm = ["macaw", "meta-bc"]           # lists are crossed: here 2 x 1 x 3 x 2 runs
    family = "cheetah-vel"
    seeds = [0, 1, 2]
    steps = 15000                              # or of each method: { macaw = 15000, meta-bc = 20000 }
    set = { policy_inner_lr = [1e-3, 1e-2] }   # a value that is itself a list has double brackets
    contexts = ["mixed", "expert:64"]          # not crossed: one run is tested with all of them

The other keys are options of `run` too: split, tier, size, data, evaluate_every, device, protocol. A run lies where
`python -m benchmark run --out OUT/<variant>` with its options puts it: OUT/<variant>/<family>/<algorithm>/seed-<k>. The
variant says what the table sets beyond family, algorithm, seeds and lengths, such as `split=half,advantage_head=false`;
with `name = "..."` it is that name and, behind it, what is crossed. Where there is nothing to say it is left out.
"""

import itertools
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from benchmark import families
from benchmark.algorithm import Algorithm, AlgorithmConfig
from benchmark.data.dataset import TIERS, dataset_id
from benchmark.errors import BenchmarkError, ConfigError, UnknownNameError
from benchmark.protocol import ContextChoice
from benchmark.registry import build_config, find_algorithm
from benchmark.run_config import RunConfig, check_protocol, usual_context, usual_settings

OPTIONS = {
    one.name: one for one in fields(RunConfig) if one.name not in ("seed", "threads", "contexts", "settings")
}
CROSSED = (*(name for name, one in OPTIONS.items() if one.type is str), "data")
"""Options whose lists are crossed."""
NUMBERS = tuple(name for name, one in OPTIONS.items() if one.type is int)
KEYS = (*OPTIONS, "data", "seeds", "contexts", "set", "name")
NAME = r"[A-Za-z0-9][A-Za-z0-9_.+-]*"
LONGEST_VARIANT = 150
"""Characters; file systems take 255 in a name."""


@dataclass(frozen=True)
class PlannedRun:
    """One run of an experiment."""

    name: str
    """Its folder within OUT."""
    folder: Path
    config: RunConfig
    data: str | None
    """Identity of imported data that stand in for the standard's."""
    entry: int
    """Number of its [[runs]] table in the file, from 1."""
    kind: type[Algorithm]
    settings: AlgorithmConfig
    """All settings, resolved."""


def read_experiment(path: Path, out: Path) -> list[PlannedRun]:
    """The runs of an experiment file, in its order, each in its folder within `out`.

    Everything is checked that can be known before anything starts. Raises ConfigError, which names the file and the
    table, for what cannot be read, does not exist, does not fit, is there twice or would share a folder.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"the experiment file {path} cannot be read: {error}.") from error
    tables = content.pop("runs", None)
    if (
        content
        or not isinstance(tables, list)
        or not all(isinstance(one, dict) for one in tables)
        or not tables
    ):
        names = f", not {', '.join(content)}" if content else ""
        raise ConfigError(f"{path} must consist of [[runs]] tables{names}; see the files in experiments/.")
    runs: list[PlannedRun] = []
    for number, table in enumerate(tables, start=1):
        try:
            runs += _runs(table, number, out)
        except BenchmarkError as error:
            raise ConfigError(f"{path}, [[runs]] number {number}: {error}") from error
    _refuse_repetition(path, runs)
    return runs


def _runs(table: Mapping[str, Any], entry: int, out: Path) -> Iterator[PlannedRun]:
    for key in table:
        if key not in KEYS:
            raise UnknownNameError("key", key, KEYS)
    for key in ("algorithm", "family", "seeds"):
        if key not in table:
            raise ConfigError(f"there is no {key}; say {key} = ...")
    steps = table["steps"] if isinstance(table.get("steps"), dict) else None
    numbers = [key for key in NUMBERS if key in table and not (key == "steps" and steps is not None)]
    common: dict[str, Any] = {key: _whole(key, table[key]) for key in numbers}
    common |= {"protocol": _text("protocol", table.get("protocol", "standard"))}
    contexts = tuple(ContextChoice.parse(text) for text in _contexts(table))
    settings = table.get("set", {})
    if not isinstance(settings, dict):
        raise ConfigError(f"set takes a table such as {{ advantage_head = false }}, not {settings!r}.")
    options = {key: _texts(key, table[key]) for key in CROSSED if key in table}
    options |= {f"set {key}": _distinct(f"set {key}", value) for key, value in sorted(settings.items())}
    seeds = [_whole("seeds", seed) for seed in _distinct("seeds", table["seeds"])]
    for algorithm in steps or ():
        if algorithm not in options["algorithm"]:
            raise UnknownNameError("algorithm with steps", algorithm, options["algorithm"])
    for values in itertools.product(*options.values()):
        chosen = dict(zip(options, values, strict=True))
        if steps is not None:
            common["steps"] = _steps_of(chosen["algorithm"], steps)
        shown = {key: value for key, value in chosen.items() if "name" not in table or len(options[key]) > 1}
        for seed in seeds:
            yield _run(table, chosen, shown, {**common, "seed": seed, "contexts": contexts}, entry, out)


def _steps_of(algorithm: str, steps: Mapping[str, Any]) -> int:
    if algorithm not in steps:
        raise ConfigError(f"steps has no number for {algorithm}, only for {', '.join(steps) or 'nothing'}.")
    return _whole(f"steps of {algorithm}", steps[algorithm])


def _run(
    table: Mapping[str, Any], chosen: Mapping[str, Any], shown: Mapping[str, Any], common: Mapping[str, Any],
    entry: int, out: Path,
) -> PlannedRun:  # fmt: skip
    kind = find_algorithm(chosen["algorithm"])
    check_protocol(kind, common["protocol"])
    family = families.family(chosen["family"])
    asked = {key.removeprefix("set "): value for key, value in chosen.items() if key.startswith("set ")}
    usual = usual_settings(kind, common["protocol"])
    set_here = {**usual, **asked}
    settings = build_config(kind, set_here)
    if "name" not in table:
        shown = {**{f"set {key}": value for key, value in usual.items()}, **shown}
    variant = _variant(table, shown, kind.Config())
    named = {key: value for key, value in chosen.items() if key in OPTIONS}
    steps = {"steps": family.meta_steps} | dict(common)
    config = RunConfig(**(named | steps | {"family": family.name, "threads": 1, "settings": set_here}))
    dataset_id(family, config.tier, config.size)  # an unknown tier or size is refused before anything starts
    if "data" in chosen:
        from benchmark.data.exchange.intake import check_choice  # Minari, which few experiments need, is slow

        check_choice(family, chosen["data"], config.size, tiers(config))
    name = "/".join([*variant, family.name, kind.name, f"seed-{config.seed}"])
    return PlannedRun(name, out / name, config, chosen.get("data"), entry, kind, settings)


def tiers(config: RunConfig) -> list[str]:
    """The tiers of data that a run opens."""
    sources = [choice.source for choice in config.contexts if choice.source != "online"]
    further = {"random"} if config.online or "random" in config.settings.values() else set()
    return sorted({config.tier, *further, *(source if source in TIERS else "mixed" for source in sources)})


def _variant(table: Mapping[str, Any], shown: Mapping[str, Any], defaults: AlgorithmConfig) -> list[str]:
    """The folder that tells runs of other options apart, or nothing.

    What a run is tested with when it is trained says nothing here: its tests by both protocols lie in one folder.
    """
    usual = {name: one.default for name, one in OPTIONS.items()}
    usual |= {f"set {name}": getattr(defaults, name) for name in defaults.__dataclass_fields__}
    parts = [
        f"{key.removeprefix('set ')}={_in_a_name(value)}"
        for key, value in shown.items()
        if key not in ("algorithm", "family") and value != usual.get(key)
    ]
    if "name" in table:
        if not isinstance(table["name"], str) or not re.fullmatch(NAME, table["name"]):
            raise ConfigError(
                f"name = {table['name']!r}: it takes letters, digits and . _ + - only, as a folder does."
            )
        parts.insert(0, table["name"])
    else:
        context = str(ContextChoice.parse(_contexts(table)[0]))
        if context != str(ContextChoice()):
            parts.append(f"context={_in_a_name(context)}")
    variant = ",".join(parts)
    if len(variant) > LONGEST_VARIANT:
        raise ConfigError(
            f'the folder would be called {variant}: too long. Give these runs a short name = "...".'
        )
    return [variant] if variant else []


def _contexts(table: Mapping[str, Any]) -> list[str]:
    """What runs are tested with; the first is that of the learning curve, and a part of what a run is."""
    return _texts("contexts", table.get("contexts", usual_context(str(table.get("protocol")))))


def _in_a_name(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return re.sub(r"[^A-Za-z0-9_.+-]+", "-", text)


def _distinct(key: str, value: Any) -> list[Any]:
    """The values of a list, or a single value as a list."""
    values = value if isinstance(value, list) else [value]
    if not values:
        raise ConfigError(f"{key} is an empty list.")
    for index, one in enumerate(values):
        if one in values[:index]:
            raise ConfigError(f"{key} holds {one!r} twice.")
    return values


def _texts(key: str, value: Any) -> list[str]:
    values = _distinct(key, value)
    for one in values:
        if not isinstance(one, str):
            raise ConfigError(f"{key} takes text in quotation marks, or a list of texts, not {one!r}.")
    return values


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{key} takes one text in quotation marks, not {value!r}.")
    return value


def _whole(key: str, value: Any) -> int:
    if type(value) is not int:
        raise ConfigError(f"{key} takes a whole number, not {value!r}.")
    return value


def _refuse_repetition(path: Path, runs: list[PlannedRun]) -> None:
    """Raise ConfigError where two runs share a folder, or one is asked for twice."""
    folders: dict[str, PlannedRun] = {}
    same: dict[str, PlannedRun] = {}
    for run in runs:
        lengths = {name: getattr(run.config, name) for name in ("steps", "contexts", "protocol")}
        content = str({**run.config.full_identity(run.kind, run.settings), **lengths, "data": run.data})
        other = folders.setdefault(run.name, run)
        twin = same.setdefault(content, run)
        if other is not run and twin is other:
            where = f"{path}, [[runs]] numbers {other.entry} and {run.entry}"
            raise ConfigError(f"{where} both ask for the run {run.name}. Take it out of one of them.")
        if other is not run:
            raise ConfigError(
                f"{path}, [[runs]] numbers {other.entry} and {run.entry}: different runs would share the folder "
                f'{run.name}. Give one of the tables another name = "...".'
            )
        if twin is not run:
            raise ConfigError(
                f"{path}, [[runs]] numbers {twin.entry} and {run.entry} ask for the same run twice, as {twin.name} and "
                f"as {run.name}. Take one of them out."
            )
