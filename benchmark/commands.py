"""What each verb of the command line does: the only place that prints."""

import argparse
import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from benchmark.errors import ConfigError
from benchmark.files import LEADERBOARD, PROJECT, write_text

if TYPE_CHECKING:
    import pandas as pd

    from benchmark.protocol import ContextChoice, OpenData

console = Console()


@contextmanager
def _bar(text: str, total: int | None = None) -> Iterator[tuple[Progress, TaskID]]:
    """A progress bar and its task number."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console) as progress:
        yield progress, progress.add_task(text, total=total)


def _opener(family: str, size: str) -> "OpenData":
    """Gives data sets of a family by tier, recording what is missing under a progress bar; each is opened once."""
    from functools import cache

    from benchmark.data.dataset import Dataset
    from benchmark.data.open import open_dataset

    @cache
    def open_data(tier: str) -> Dataset:
        with _bar(f"data {family} {tier} {size}") as (progress, task):
            dataset = open_dataset(
                family,
                tier,
                size,
                progress=lambda done, total: progress.update(task, completed=done, total=total),
            )
            progress.update(task, total=1, completed=1, visible=False)
        return dataset

    return open_data


def run(options: argparse.Namespace) -> None:
    """Meta-train and meta-test, one run per seed, then the table."""
    from benchmark import families
    from benchmark.registry import build_config, find_algorithm, parse_settings
    from benchmark.run_config import RunConfig
    from benchmark.training import refuse_existing

    kind = find_algorithm(options.algo)
    settings = parse_settings(options.set)
    build_config(kind, settings)
    family = families.family(options.family)
    common = {
        "algorithm": options.algo, "family": family.name, "split": options.split, "tier": options.tier,
        "size": options.size, "device": options.device, "evaluate_every": options.evaluate_every,
        "contexts": tuple(_context_choice(text) for text in options.contexts), "settings": settings,
        "steps": family.meta_steps if options.steps is None else options.steps,
    }  # fmt: skip
    if options.threads is not None:
        common["threads"] = options.threads
    place = Path(options.out) / family.name / kind.name
    runs = {place / f"seed-{seed}": RunConfig(seed=seed, **common) for seed in _seeds(options.seeds)}
    if not options.resume:
        for folder in runs:
            refuse_existing(folder)
    open_data = _opener(family.name, options.size)
    frames = [_one_run(config, folder, open_data, options.resume) for folder, config in runs.items()]
    import pandas as pd

    _print_results(pd.concat(frames))
    for folder in runs:
        console.print(f"rows: {folder / 'result.csv'}", highlight=False, soft_wrap=True)


def _seeds(texts: list[str]) -> list[int]:
    numbers = [number for text in texts for number in text.split(",") if number]
    if not numbers or not all(number.isascii() and number.isdecimal() for number in numbers):
        raise ConfigError(f"--seeds takes whole numbers such as 0 1 2, not '{' '.join(texts)}'.")
    return [int(number) for number in numbers]


def _context_choice(text: str) -> "ContextChoice":
    from benchmark.protocol import CONTEXT_SIZE, ContextChoice

    source, _, size = text.partition(":")
    if size and not (size.isascii() and size.isdecimal()):
        raise ConfigError(f"--contexts takes SOURCE or SOURCE:SIZE such as mixed:64, not '{text}'.")
    return ContextChoice(source, int(size) if size else CONTEXT_SIZE)


def _one_run(config: object, folder: Path, open_data: "OpenData", resume: bool) -> "pd.DataFrame":
    from benchmark.run_config import RunConfig
    from benchmark.training import Progress as Report
    from benchmark.training import Run

    assert isinstance(config, RunConfig)
    one = Run(config, folder, open_data)
    if resume and not one.checkpoints.exists():
        console.print(f"nothing to resume in {folder}: this run starts anew", highlight=False)
    one.prepare(resume)
    where = f"{one.algorithm.name} on {one.family.name}, seed {config.seed}"
    console.print(f"{where}: {config.steps} meta-steps, results in {folder}", highlight=False)
    with _bar("meta-training", config.steps) as (progress, task):
        progress.update(task, completed=one.step)

        def report(now: Report) -> None:
            progress.update(task, completed=now.step, description=f"meta-training {now.message}")
            if now.evaluated:
                console.print(f"  step {now.step}: {now.message}", highlight=False)

        return one.train(report)


def _print_results(frame: "pd.DataFrame") -> None:
    """Per context and test task, means over seeds."""
    for (context, size), part in frame.groupby(["context", "context_size"], sort=False):
        seeds = part["seed"].nunique()
        table = Table(title=f"returns, mean of {seeds} seed(s), context {context} of {size} transitions")
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

    for name in known.FAMILIES:
        one = known.family(name)
        console.print(f"[bold]{one.id}[/bold]  {one.tasks} tasks, {one.parameter}", highlight=False)
        console.print(
            f"    observation {one.observation_size}, action {one.action_size}, horizon {one.horizon} steps of "
            f"{one.control_step:g} s",
            highlight=False,
        )
        for key, split in one.splits.items():
            test = " ".join(map(str, split.test)) if len(split.test) <= 8 else "all others"
            console.print(
                f"    split {key:14} {len(split.train):3} train, {len(split.test):2} test tasks ({test})",
                highlight=False,
            )


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


def data_collect(options: argparse.Namespace) -> None:
    """Train behaviour policies anew; the shipped ones stay until you copy the file over them."""
    from safetensors import SafetensorError

    from benchmark.data.collect import collect
    from benchmark.data.recipe import read_recipe, recipe_path
    from benchmark.errors import RunError
    from benchmark.families import family

    name = family(options.family).name
    used = read_recipe(Path(options.recipe) if options.recipe else recipe_path(name))
    if used.family != name:
        raise ConfigError(f"{options.recipe} is a recipe of {used.family}, not of {name}.")
    out = Path(options.out) / name
    with _bar(f"training {name}", used.steps * used.shares) as (progress, task):
        snapshots = collect(
            used, out, options.processes, lambda steps: progress.update(task, completed=steps)
        )
    path, recipe = out / f"{name}.safetensors", out / f"{name}.toml"
    try:
        snapshots.save(path)
        write_text(recipe, used.to_toml())
    except (OSError, SafetensorError) as error:
        raise RunError(
            f"the snapshots cannot be written to {out}: {error}. The checkpoints stay; free some space, then the same "
            "command goes on."
        ) from error
    console.print(
        f"snapshots of {snapshots.tasks} tasks: {path}; their recipe: {recipe}; learning curves beside them.\n"
        "To make them the family's behaviour, copy the two files to datasets/snapshots/ and datasets/recipes/, then "
        f"python -m benchmark data catalog --family {name} and data card --family {name}",
        highlight=False,
        soft_wrap=True,
    )


def data_record(options: argparse.Namespace) -> None:
    """Record a data set in Minari's form and in the cache, or find that it is there."""
    from benchmark.data import store
    from benchmark.data.open import record_dataset
    from benchmark.families import family

    with _bar(f"data {options.family} {options.tier} {options.size}") as (progress, task):
        dataset = record_dataset(
            family(options.family).name,
            options.tier,
            options.size,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
        progress.update(task, total=1, completed=1)
    console.print(
        f"{dataset.id}: {dataset.rows:,} transitions in {dataset.episodes:,} episodes\n"
        f"content sha256 {dataset.content_hash}\nMinari {store.folder_of(dataset.id)}",
        highlight=False,
        soft_wrap=True,
    )


def data_catalog(options: argparse.Namespace) -> None:
    """Measure references, record all small data sets, write the catalog entry."""
    from benchmark.data import standardise

    with _bar("references") as (progress, task):
        standardise.measure(
            options.family, progress=lambda done, total: progress.update(task, completed=done, total=total)
        )
    with _bar("content hashes") as (progress, task):
        standardise.add_hashes(
            options.family, options.sizes,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )  # fmt: skip
    console.print("datasets/catalog.toml is up to date")


def data_list(options: argparse.Namespace) -> None:
    """All data sets of the catalog."""
    from benchmark.data.overview import listing

    for one in listing():
        here = [name for name, there in (("Minari", one.stored), ("cache", one.cached)) if there]
        sizes = f"{one.id:34} {one.transitions:>10,} transitions  {one.content_hash[:12]}"
        console.print(f"{sizes}  {' and '.join(here) or 'not here'}", highlight=False, soft_wrap=True)
    console.print(
        "Whatever is not here is recorded when a run asks for it, or by: data record", highlight=False
    )


def data_verify(options: argparse.Namespace) -> None:
    """Check everything's hash; fails if anything is damaged."""
    from benchmark.data.overview import verify, verify_all
    from benchmark.errors import DataError

    with _bar("verifying") as (progress, task):

        def show(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        findings = verify_all(show) if options.all else verify(options.family, options.tier, options.size)
    for one in findings:
        state = "not here" if not one.present else "DAMAGED" if one.problem else "good"
        console.print(f"{state:9} {one.what}  {one.where}", highlight=False, soft_wrap=True)
    damaged = [one.problem for one in findings if one.problem]
    if damaged:
        raise DataError("\n".join(damaged))


def data_card(options: argparse.Namespace) -> None:
    """Write a family's card and its picture."""
    from benchmark.data.card import write_card
    from benchmark.families import family

    with _bar("card") as (progress, task):
        paths = write_card(
            family(options.family).name,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    for path in paths:
        console.print(f"wrote {path}", highlight=False)


def leaderboard(options: argparse.Namespace) -> None:
    """Add runs, aggregate, write leaderboard.csv, the curves' picture and README's table, print."""
    from benchmark.results import board, tables
    from benchmark.results.curves import draw_curves
    from benchmark.results.leaderboard import leaderboard as aggregate
    from benchmark.results.rows import write_table

    folder = Path(options.folder) if options.folder else LEADERBOARD
    finished, unfinished = board.find_runs(Path(place) for place in options.add)
    before = board.read_board(folder)
    after = board.add_runs(before, finished)
    frame = aggregate(after)
    readme = PROJECT / "README.md" if folder.resolve() == LEADERBOARD.resolve() else None
    with board.writing_errors(folder):
        if readme:
            table = tables.readme_table(frame)
            text = tables.replace_between_markers(readme.read_text(), "leaderboard", table)
        for changed in board.write_changes(before, after):
            console.print(f"updated {changed}", highlight=False, markup=False, soft_wrap=True)
        write_table(folder / "leaderboard.csv", frame)
        if finished:
            draw_curves(list(after.curves), folder / "figures" / "learning-curves.png")
        if readme:
            write_text(readme, text)
    if unfinished:
        names = ", ".join(map(str, unfinished))
        console.print(f"not finished, left out: {names}", highlight=False, markup=False, soft_wrap=True)
    console.print("leaderboard: mean over test tasks, then over seeds\n", highlight=False)
    console.print(tables.printed_table(frame), highlight=False, markup=False, soft_wrap=True)
