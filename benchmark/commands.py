"""What the verbs of the command line do; those of `data` and others are in `commands_*`. Only these files print."""

import argparse
import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from benchmark.console import console, progress_bar
from benchmark.errors import ConfigError
from benchmark.locks import claimed

if TYPE_CHECKING:
    import pandas as pd

    from benchmark.families.family import Split
    from benchmark.protocol import OpenData
    from benchmark.training import Run


def standard_opener(family: str, size: str) -> "OpenData":
    """Gives data sets of a family by tier, recording what is missing under a progress bar; each is opened once."""
    from functools import cache

    from benchmark.data.dataset import Dataset
    from benchmark.data.open import open_dataset

    @cache
    def open_data(tier: str) -> Dataset:
        with progress_bar(f"data {family} {tier} {size}") as (progress, task):
            dataset = open_dataset(
                family,
                tier,
                size,
                progress=lambda done, total: progress.update(task, completed=done, total=total),
            )
            progress.update(task, total=1, completed=1, visible=False)
        return dataset

    return open_data


def finished_run(folder: Path) -> "Run":
    """The run of the folder, with what it has learned; nothing is written.

    Raises ConfigError where the folder's config.toml is not a run's, OSError where there is none, RunError where the
    run is not finished, CheckpointError where its checkpoint is damaged.
    """
    import tomllib

    from benchmark.errors import ConfigError
    from benchmark.run_config import from_stored
    from benchmark.training import Run

    path = folder / "config.toml"
    try:
        stored = tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{path} cannot be read ({error}).") from error
    config = from_stored(stored, path)
    run = Run(config, folder, standard_opener(config.family, config.size))
    run.restore()
    return run


def run(options: argparse.Namespace) -> None:
    """Meta-train and meta-test, one run per seed, then the table."""
    from benchmark import families
    from benchmark.data.exchange.intake import imported_opener
    from benchmark.protocol import ContextChoice
    from benchmark.registry import build_config, find_algorithm, parse_settings
    from benchmark.run_config import RunConfig, usual_context, usual_settings
    from benchmark.run_folder import refuse_existing

    kind = find_algorithm(options.algo)
    settings = {**usual_settings(kind, options.protocol), **parse_settings(options.set)}
    build_config(kind, settings)
    family = families.family(options.family)
    contexts = options.contexts or [usual_context(options.protocol)]
    common = {
        "algorithm": options.algo, "family": family.name, "split": options.split, "tier": options.tier,
        "size": options.size, "device": options.device, "evaluate_every": options.evaluate_every,
        "contexts": tuple(ContextChoice.parse(text) for text in contexts), "settings": settings,
        "protocol": options.protocol,
        "steps": family.meta_steps if options.steps is None else options.steps,
    }  # fmt: skip
    if options.threads is not None:
        common["threads"] = options.threads
    place = Path(options.out) / family.name / kind.name
    runs = {place / f"seed-{seed}": RunConfig(seed=seed, **common) for seed in _seeds(options.seeds)}
    if not options.resume:
        for folder in runs:
            refuse_existing(folder)
    if options.data:
        open_data = imported_opener(family, options.data, options.size)
    else:
        open_data = standard_opener(family.name, options.size)
    frames = [_one_run(config, folder, open_data, options.resume) for folder, config in runs.items()]
    import pandas as pd

    _print_results(pd.concat(frames))
    for folder in runs:
        console.print(f"rows: {folder / 'result.csv'}", highlight=False, soft_wrap=True)


def _seeds(texts: list[str]) -> list[int]:
    numbers = [number for text in texts for number in text.split(",") if number]
    if not numbers or not all(
        number.isascii() and number.isdecimal() and len(number) < 20 for number in numbers
    ):
        raise ConfigError(f"--seeds takes whole numbers such as 0 1 2, not '{' '.join(texts)[:40]}'.")
    return [int(number) for number in numbers]


def _one_run(config: object, folder: Path, open_data: "OpenData", resume: bool) -> "pd.DataFrame":
    from benchmark.run_config import RunConfig
    from benchmark.training import Run

    assert isinstance(config, RunConfig)
    one = Run(config, folder, open_data)
    if resume and not one.checkpoints.exists():
        console.print(f"nothing to resume in {folder}: this run starts anew", highlight=False, soft_wrap=True)
    with claimed(folder):
        one.prepare(resume)
        return _trained(one)


def _trained(one: "Run") -> "pd.DataFrame":
    from benchmark.training import Progress as Report

    config, folder = one.config, one.folder
    where = f"{one.algorithm.name} on {one.family.name}, seed {config.seed}"
    console.print(f"{where}: {config.steps} meta-steps, results in {folder}", highlight=False, soft_wrap=True)
    with progress_bar("meta-training", config.steps) as (progress, task):
        progress.update(task, completed=one.step)

        def report(now: Report) -> None:
            progress.update(task, completed=now.step, description=f"meta-training {now.message}")
            if now.evaluated:
                console.print(f"  step {now.step}: {now.message}", highlight=False)

        return one.train(report)


def _print_results(frame: "pd.DataFrame") -> None:
    """Per context and test task, means over seeds."""
    tests = ["context", "context_size", "settings", "online_steps"]
    for (context, size, settings, online_steps), part in frame.groupby(tests, sort=False):
        seeds = part["seed"].nunique()
        title = f"returns, mean of {seeds} seed(s), context {context} of {size} transitions"
        title += f", {settings}" if frame["settings"].nunique() > 1 and settings else ""
        title += f", after {online_steps} online steps" if frame["online_steps"].any() else ""
        table = Table(title=title)
        for heading in ("test task", "un-adapted", "adapted", "score", "random", "blind", "expert"):
            table.add_column(heading, justify="right")
        columns = [
            "unadapted_return",
            "adapted_return",
            "score",
            "random_return",
            "blind_return",
            "expert_return",
        ]
        by_task = part.groupby("task")[columns].mean()
        for task, row in [*by_task.iterrows(), ("mean", by_task.mean())]:
            table.add_row(str(task), *(f"{row[column]:.1f}" for column in columns))
        console.print(table)


def families(options: argparse.Namespace) -> None:
    """All families with their tasks and splits."""
    from benchmark import families as known
    from benchmark.data.shipped import is_shipped

    for name in known.FAMILIES:
        one = known.family(name)
        untold = "" if is_shipped(one) else "  [no data yet]"
        title = Text.assemble((one.id, "bold"), f"  {one.tasks} tasks, {one.parameter}{untold}")
        console.print(title, highlight=False, soft_wrap=True)
        console.print(
            f"    observation {one.observation_size}, action {one.action_size}, horizon {one.horizon} steps of "
            f"{one.control_step:g} s",
            highlight=False,
            soft_wrap=True,
        )
        for key, split in one.splits.items():
            console.print(
                f"    split {key:14} {len(split.train):3} train, {len(split.test):2} test tasks "
                f"({_ranges(split.test)}){_left_out(one.tasks, split)}",
                highlight=False,
                soft_wrap=True,
            )


def _left_out(tasks: int, split: "Split") -> str:
    """Which tasks a split neither trains nor tests on."""
    others = [task for task in range(tasks) if task not in split.train + split.test]
    return f", without {_ranges(others)}" if others else ""


def _ranges(tasks: Iterable[int]) -> str:
    """Numbers of tasks, rising; three or more in a row as `0-2`."""
    parts: list[list[int]] = []
    for task in sorted(tasks):
        if parts and task == parts[-1][-1] + 1:
            parts[-1].append(task)
        else:
            parts.append([task])
    texts = [f"{part[0]}-{part[-1]}" if len(part) > 2 else " ".join(map(str, part)) for part in parts]
    return " ".join(texts)


def algorithms(options: argparse.Namespace) -> None:
    """Built-in algorithms with their settings and defaults."""
    from benchmark.registry import BUILT_IN, find_algorithm

    for name in BUILT_IN:
        kind = find_algorithm(name)
        table = Table(title=f"{name} (version {kind.version})", title_justify="left")
        for heading in ("setting", "default", "type"):
            table.add_column(heading)
        for field in dataclasses.fields(kind.Config):
            shown = getattr(field.type, "__name__", str(field.type)).replace("typing.", "")
            table.add_row(field.name, str(field.default), shown)
        console.print(table)
    console.print(
        "Set one with --set name=value; your own: --algo path/to/file.py:Class (README.md).", highlight=False
    )


def check(options: argparse.Namespace) -> None:
    """Hold a method against the contract, promise by promise; fails if one is broken."""
    from benchmark import families as known
    from benchmark.algorithm import FamilyDescription
    from benchmark.contract import run_checks
    from benchmark.contract.subject import Subject
    from benchmark.errors import AlgorithmError
    from benchmark.registry import build_config, find_algorithm, parse_settings

    if options.steps < 2:
        raise ConfigError(f"--steps is {options.steps}; a loss can fall within 2 or more.")
    kind = find_algorithm(options.algo)
    if kind.__module__.startswith("benchmark."):
        raise ConfigError(
            f"{kind.name} is a reference of the suite and no method: it looks up the experts of a run's train "
            "tasks, which the contract's made-up data do not have."
        )
    family = known.family(options.family)
    sizes = (family.observation_size, family.action_size, family.horizon)
    tasks = min(4, len(family.split("standard").train))
    description = FamilyDescription(family.id, *sizes, tasks, family.dynamics_differ)
    subject = Subject(kind, build_config(kind, parse_settings(options.set)), description, options.steps)
    broken = 0
    for verdict in run_checks(subject):
        broken += verdict.problem is not None
        mark = ("kept  ", "green") if verdict.problem is None else ("BROKEN", "red")
        line = Text.assemble(mark, f"  {verdict.check}: {verdict.promise}")
        console.print(line, highlight=False, soft_wrap=True)
        if verdict.problem:
            console.print(f"        {verdict.problem}", highlight=False, soft_wrap=True)
    if broken:
        raise AlgorithmError(
            f"{kind.name} breaks {broken} of the contract's promises (see benchmark/algorithm.py)."
        )
    console.print(f"{kind.name} keeps the contract", highlight=False)
