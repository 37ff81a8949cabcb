"""What the verbs of `data` do."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.console import console, progress_bar
from benchmark.errors import ConfigError
from benchmark.files import write_text

if TYPE_CHECKING:
    from benchmark.data.dataset import Dataset
    from benchmark.data.exchange.checks import Check
    from benchmark.data.recipe import Recipe
    from benchmark.data.snapshots import Snapshots


def collect(options: argparse.Namespace) -> None:
    """Train behaviour policies anew; the shipped ones stay until you copy the file over them."""
    from safetensors import SafetensorError

    from benchmark.data.collect import collect
    from benchmark.data.recipe import read_recipe, recipe_path
    from benchmark.errors import RunError
    from benchmark.families import family

    name = family(options.family).name
    used = read_recipe(Path(options.recipe) if options.recipe else recipe_path(name, options.long))
    if used.family != name:
        raise ConfigError(f"{options.recipe} is a recipe of {used.family}, not of {name}.")
    out = Path(options.out) / (f"{name}-long" if used.tasks else name)
    with progress_bar(f"training {name}", used.steps * used.shares) as (progress, task):
        snapshots = collect(
            used, out, options.processes, lambda steps: progress.update(task, completed=steps), options.ray
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
    if used.tasks:
        _measure_long(used, snapshots, out)
        return
    console.print(
        f"snapshots of {snapshots.tasks} tasks: {path}; their recipe: {recipe}; learning curves beside them.\n"
        "To make them the family's behaviour, copy the two files to datasets/snapshots/ and datasets/recipes/, then "
        f"python -m benchmark data catalog --family {name} and data card --family {name}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def _measure_long(recipe: "Recipe", agents: "Snapshots", out: Path) -> None:
    """Measure agents of some tasks, and say what becomes of the table."""
    from benchmark.data.long_trained import last_returns, long_path, measure_long, write_long
    from benchmark.errors import RunError
    from benchmark.families import family

    rows = measure_long(family(recipe.family), agents, recipe.task_numbers)
    path = out / long_path(recipe.family).name
    try:
        write_long(path, rows)
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error}. The same command measures again.") from error
    for task, one in last_returns(rows).items():
        console.print(
            f"task {task}: {one.deterministic_return:.1f} after {one.step:,} steps",
            highlight=False,
            markup=False,
        )
    console.print(
        f"{path}: to hold the family's experts against it on the card, copy it to {long_path(recipe.family)}, then "
        f"python -m benchmark data card --family {recipe.family}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def record(options: argparse.Namespace) -> None:
    """Record a data set in Minari's form and in the cache, or find that it is there."""
    from benchmark.data import store
    from benchmark.data.open import record_dataset
    from benchmark.families import family

    with progress_bar(f"data {options.family} {options.tier} {options.size}") as (progress, task):
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
        markup=False,
        soft_wrap=True,
    )


def catalog(options: argparse.Namespace) -> None:
    """Measure references, unless only hashes are asked for, and record the data sets, into the catalog's entry."""
    from benchmark.data import standardise
    from benchmark.data.dataset import dataset_id
    from benchmark.families import family

    for size in options.sizes:  # a wrong name is said before minutes of measuring
        dataset_id(family(options.family), "mixed", size)
    if not options.hashes_only:
        with progress_bar("references") as (progress, task):
            standardise.measure(
                options.family,
                progress=lambda done, total: progress.update(task, completed=done, total=total),
            )
    with progress_bar("content hashes") as (progress, task):
        entry = standardise.add_hashes(
            options.family, options.sizes,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )  # fmt: skip
    hashes = "; ".join(f"{size}: {', '.join(tiers)}" for size, tiers in entry.hashes.items())
    console.print(
        f"datasets/catalog.toml is up to date. Content hashes of {options.family}: {hashes}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def list_sets(options: argparse.Namespace) -> None:
    """All data sets of the catalog."""
    from benchmark.data.exchange.intake import imported
    from benchmark.data.overview import listing

    for one in listing():
        here = [name for name, there in (("Minari", one.stored), ("cache", one.cached)) if there]
        sizes = f"{one.id:34} {f'about {one.transitions:,}':>16} transitions  {one.content_hash[:12]}"
        console.print(f"{sizes}  {' and '.join(here) or 'not here'}", highlight=False, soft_wrap=True)
    console.print(
        "Whatever is not here is recorded when a run asks for it, or by: data record",
        highlight=False,
        markup=False,
    )
    for identity in imported():
        console.print(f"{identity}  imported, not the standard's", highlight=False, soft_wrap=True)


def verify(options: argparse.Namespace) -> None:
    """Check everything's hash; fails if anything is damaged."""
    from benchmark.data.overview import verify, verify_all
    from benchmark.errors import DataError

    given = [name for name in ("family", "tier", "size") if getattr(options, name)]
    if options.all and given:
        raise ConfigError(f"--all verifies everything: leave out --{given[0]}, or --all.")
    named = options.family or "cheetah-dir", options.tier or "mixed", options.size or "small"
    with progress_bar("verifying") as (progress, task):

        def show(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        findings = verify_all(show) if options.all else verify(*named)
    for one in findings:
        state = "not here" if not one.present else "DAMAGED" if one.problem else "good"
        console.print(f"{state:9} {one.what}  {one.where}", highlight=False, soft_wrap=True)
    damaged = [one.problem for one in findings if one.problem]
    if damaged:
        raise DataError("\n".join(damaged))


def card(options: argparse.Namespace) -> None:
    """Write a family's card and its picture, and README's table of families."""
    from benchmark import files
    from benchmark.data.card import families_table, write_card
    from benchmark.families import family
    from benchmark.results.tables import replace_between_markers

    with progress_bar("card") as (progress, task):
        paths = write_card(
            family(options.family).name,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
        progress.update(task, total=1, completed=1)
    readme = files.PROJECT / "README.md"
    if files.DATASETS.parent == files.PROJECT:
        write_text(readme, replace_between_markers(readme.read_text(), "families", families_table().rstrip()))
    for path in paths:
        console.print(f"wrote {path}", highlight=False)


def import_data(options: argparse.Namespace) -> None:
    """Take in data of another project's format, and report what disagrees."""
    from benchmark.data.exchange import d4rl, macaw
    from benchmark.data.exchange.intake import imported_id, take_in
    from benchmark.families import family

    one, paths = family(options.family), [Path(path) for path in options.paths]
    imported_id(one, options.name)
    layout = macaw if options.origin == "macaw" else d4rl
    files = layout.find_tasks(one, paths, options.tasks)
    origin = {"format": options.origin, "files": {str(task): path.name for task, path in files.items()}}
    with progress_bar(f"importing {options.name}") as (progress, task):
        portions = layout.read_portions(
            one, files, lambda done, total: progress.update(task, completed=done, total=total)
        )
        dataset, checks = take_in(one, options.name, portions, origin)
    _print_taken(dataset, checks)


def export(options: argparse.Namespace) -> None:
    """Write one task's data as a D4RL file."""
    from benchmark.data import catalog
    from benchmark.data.exchange.d4rl import check_absent, write_task
    from benchmark.data.open import open_dataset
    from benchmark.errors import ConfigError
    from benchmark.families import family

    one, path = family(options.family), Path(options.to)
    if options.task not in range(one.tasks):
        raise ConfigError(f"{one.id} has no task {options.task}; its tasks are 0 to {one.tasks - 1}.")
    check_absent(path)
    with progress_bar(f"data {one.name} {options.tier} {options.size}") as (progress, task):
        dataset = open_dataset(
            one.name,
            options.tier,
            options.size,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
        progress.update(task, total=1, completed=1)
    write_task(one, dataset, options.task, catalog.references(one.name), path)
    console.print(
        f"task {options.task} of {dataset.id} in D4RL's layout: {path}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def relabel(options: argparse.Namespace) -> None:
    """Make data of a known body into data of a family's tasks."""
    from benchmark.data.exchange.intake import take_in
    from benchmark.data.exchange.minari_source import open_source
    from benchmark.data.exchange.relabel import check_fits, relabelled
    from benchmark.families import family

    one = family(options.family)
    tasks = list(range(one.tasks)) if options.tasks is None else options.tasks
    source = open_source(options.origin)
    check_fits(source, one, tasks)
    with progress_bar(f"relabelling {options.origin}") as (progress, task):
        portions = relabelled(
            source,
            one,
            tasks,
            options.transitions,
            lambda done, total: progress.update(task, completed=done, total=total),
        )
        origin = {"format": "minari", "relabelled_from": options.origin, "metadata": source.summary()}
        dataset, checks = take_in(one, options.name, portions, origin)
    _print_taken(dataset, checks)


def _print_taken(dataset: "Dataset", checks: "list[Check]") -> None:
    """What was taken in, and what of it could be checked."""
    lines, width = ["what was checked"], max((len(one.what) for one in checks), default=0)
    for one in checks:
        found = one.against  # why it could not be
        if one.checked:
            found = f"{one.disagree:,} of {one.checked:,} disagree, against {one.against}; largest deviation "
            found += f"{one.largest:.3g}, tolerance {one.tolerance:.3g}"
        lines.append(f"    {one.what:{width}}  {found}")
    lines += [
        f"{dataset.id}: {dataset.rows:,} transitions in {dataset.episodes:,} episodes, not data of the standard",
        f"content sha256 {dataset.content_hash}",
        _how_to_train(dataset),
    ]
    console.print("\n".join(lines), highlight=False, soft_wrap=True)


def _how_to_train(dataset: "Dataset") -> str:
    """The command that trains on imported data, of a split whose tasks they have."""
    from benchmark.families import family

    one = family(dataset.id.split("/")[1])
    there = set(dataset.tasks.tolist())
    covered = [name for name, split in one.splits.items() if there.issuperset(split.train + split.test)]
    if not covered:
        tasks = " ".join(map(str, sorted(there)))
        return f"no split has its train and test tasks among {tasks}: a run needs the others too"
    command = f"python -m benchmark run --data {dataset.id} --family {one.name}"
    return f"train on it: {command}{'' if 'standard' in covered else f' --split {covered[0]}'}"
