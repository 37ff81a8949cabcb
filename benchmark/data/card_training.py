"""What the data card of trained behaviour says: how it was trained, its life, how good it is, its limits."""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from benchmark.data import catalog
from benchmark.data.long_trained import long_path, read_long
from benchmark.data.markdown import number, table
from benchmark.data.recipe import Recipe, read_recipe, recipe_path
from benchmark.data.references import SnapshotReturns
from benchmark.data.snapshots import UNIFORM, Snapshots
from benchmark.families.family import Family

EARLIER = 0.8
"""Agents trained for long are shown at this share of their training too."""
LEVEL = 2.0
"""Per cent that they may rise by from there to the end, and be said to have levelled off."""


def what(family: Family, recipe: Recipe) -> str:
    """What the data are."""
    return (
        "## What\n\n"
        f"Offline data of {family.tasks} tasks of one body, numbered from 0. A task's parameter is: "
        f"{family.parameter}. Observations have {family.observation_size} numbers, actions "
        f"{family.action_size} in (-1, 1); an episode is truncated after {family.horizon} steps of "
        f"{family.control_step:g} s. {_trained(family, recipe)}, from first random actions to expert. Each transition "
        "also has the log-density of its action under the behaviour that took it, and each episode the "
        "number of that behaviour (`snapshot`).\n"
    )


def _trained(family: Family, recipe: Recipe) -> str:
    sizes = sorted({len(recipe.tasks_of_share(number)) for number in range(recipe.shares)})
    together = " or ".join(map(str, sizes))
    if recipe.sac.turned:
        agents = "One agent was" if recipe.shares == 1 else f"{recipe.shares} agents were"
        return (
            f"{agents} trained from scratch, in {together} tasks at once, each task seen in its frame, in which all "
            f"are {'' if family.frames_alike else 'nearly '}one task. A task's data are what its agent did there"
        )
    one = "For each task one agent was trained from scratch on that task"
    if not recipe.sac.shared:
        return f"{one} alone; the data are what it did"
    return (
        f"{one}'s experience, but not alone: the agents of {together} tasks trained one actor and one pair of critics "
        "together, in which only the biases of the first layer, and the temperature, are an agent's own; the data are "
        "what they did"
    )


def recorded(snapshots: Snapshots, known: catalog.Entry, recipe: Recipe) -> str:
    """How they were recorded."""
    settings = ", ".join(
        f"{name.replace('_', ' ')} {value:g}"
        for name, value in asdict(recipe.sac).items()
        if not isinstance(value, bool)
    )
    return (
        "## How it was recorded\n\n"
        f"1. **Training.** Soft actor-critic agents ({settings}), {recipe.steps:,} "
        f"environment steps in each task: `python -m benchmark data collect --family {recipe.family}`, which reads "
        f"`datasets/recipes/{recipe.family}.toml`. Another processor gives other agents.\n"
        f"2. **Snapshots.** After {_listed(snapshots.steps)} steps the actors were saved, in 16-bit weights: "
        f"`datasets/snapshots/{recipe.family}.safetensors` (SHA-256 `{known.snapshots}`).\n"
        f"3. **Recording.** The snapshots' stochastic policies acted in MuJoCo {known.mujoco}, with random "
        "numbers that depend on task, snapshot and episode alone, and actions on a grid of 2^-12. Recording "
        "is bit-for-bit reproducible: the content hashes below are checked after recording and whenever the "
        "data are opened.\n\n"
        "Tiers: `random`: uniformly random actions. `medium`: per task, the snapshot whose return is nearest "
        "to half way between random and expert. `expert`: the last snapshot. `mixed`: all of these and all "
        "in between, each for the share of the training life that it stands for, in the order of "
        "training age.\n"
    )


def _listed(steps: Sequence[int]) -> str:
    return f"{', '.join(f'{step:,}' for step in steps[:-1])} and {steps[-1]:,}"


def life(snapshots: Snapshots, rows: Sequence[SnapshotReturns]) -> str:
    """Returns over the training life."""
    lines, means = [], {}
    for snapshot, share in snapshots.life_shares.items():
        returns = [row.stochastic_return for row in rows if row.snapshot == snapshot]
        means[snapshot] = float(np.mean(returns))
        spread = [number(value) for value in (means[snapshot], min(returns), max(returns))]
        lines.append([snapshot, f"{snapshots.age(snapshot):,}", f"{100 * share:.1f} %", *spread])
    half = (means[UNIFORM] + means[max(means)]) / 2
    competent = min(snapshot for snapshot, mean in means.items() if mean >= half)
    later = sum(share for snapshot, share in snapshots.life_shares.items() if snapshot >= competent)
    head = ["snapshot", "training steps", "share of `mixed`", "mean return", "lowest task", "highest task"]
    return (
        "## Behaviour over the training life\n\nReturns of the stochastic policies, 20 episodes per task; "
        "snapshot -1 is uniformly random actions.\n\n"
        + table(head, lines)
        + "\nBy the mean return, half of the way from random actions to the last snapshot is passed at snapshot "
        f"{competent} ({snapshots.age(competent):,} steps); {100 * later:.1f} % of `mixed` is of that age or older.\n"
    )


def trained_for_long(family: Family, known: catalog.Entry) -> list[str]:
    """The section on well-trained agents, where some were trained."""
    if not long_path(family.name).exists():
        return []
    rows = {(row.task, row.step): row.deterministic_return for row in read_long(long_path(family.name))}
    tasks, ages = sorted({task for task, _ in rows}), sorted({step for _, step in rows})
    before = max((step for step in ages if step <= EARLIER * ages[-1]), default=ages[-1])
    random, expert = known.references.random, known.references.expert
    shares = [100 * (expert[k] - random[k]) / (rows[k, ages[-1]] - random[k]) for k in tasks]
    lines = []
    for task, share in zip(tasks, shares, strict=True):
        returns = [random[task], expert[task], rows[task, before], rows[task, ages[-1]]]
        lines.append([task, *map(number, returns), f"{share:.0f} %"])
    head = [
        "task",
        "random",
        "expert",
        f"after {before:,} steps",
        f"after {ages[-1]:,}",
        "the expert's share",
    ]
    return [
        f"## Against agents trained for long\n\n{_trained_longer(family)}, by a recipe of "
        f"their own (`datasets/recipes/long/{family.name}.toml`). A share is 100 (expert - random) / (long - random): "
        f"{np.mean(shares):.1f} % on average over these tasks, {min(shares):.1f} % at least. "
        f"{_the_lowest(known, dict(zip(tasks, shares, strict=True)), [rows[task, ages[-1]] for task in tasks])} "
        f"What these agents reach is a lower bound of what can be reached. {_still_rising(rows, random, before)}"
        f"{_remark(family)}\n\n" + table(head, lines)
    ]


def _still_rising(rows: dict[tuple[int, int], float], random: Sequence[float], before: int) -> str:
    """By how much agents trained for long gained after `before`, beside what they reached in all."""
    last = max(step for _, step in rows)
    reached = {task: value for (task, step), value in rows.items() if step == last}
    gains = [(value - rows[task, before]) / (value - random[task]) for task, value in reached.items()]
    gain = 100 * float(np.mean(gains))
    told = f"It changed by {gain:+.1f} % on average in the last {100 - 100 * before / last:.0f} % of their training"
    return f"{told}: with more of it, shares would be lower." if gain > LEVEL else f"{told}."


def _remark(family: Family) -> str:
    remark = read_recipe(recipe_path(family.name, long=True)).remark.strip()
    return f" {remark}" if remark else ""


def _trained_longer(family: Family) -> str:
    recipe = read_recipe(recipe_path(family.name, long=True))
    if not recipe.sac.turned:
        return "Some tasks were trained each on its own and much longer"
    agents = (
        "one agent, which saw each" if recipe.shares == 1 else f"{recipe.shares} agents, which saw each task"
    )
    return f"Some tasks were trained apart from the others and longer, by {agents} in its frame"


def _the_lowest(known: catalog.Entry, shares: dict[int, float], reached: list[float]) -> str:
    """How good the lowest of all experts is: held against an agent of its task, or else against the mean of these."""
    random, expert = known.references.random, known.references.expert
    lowest = int(np.argmin(expert))
    if lowest in shares:
        return f"The lowest of all tasks' experts, of task {lowest}, is at {shares[lowest]:.1f} %."
    top, bottom = np.mean(reached), np.mean(random)
    of_top = [f"{100 * (value - bottom) / (top - bottom):.1f} %" for value in (np.mean(expert), min(expert))]
    return (
        f"Held against the mean of these agents, the mean of all tasks' experts is at {of_top[0]}, the lowest of them "
        f"(task {lowest}) at {of_top[1]}."
    )


def licence_and_limits(family: Family, known: catalog.Entry, recipe: Recipe) -> str:
    """Licence, and what a user should know."""
    weakest = int(np.argmin(known.references.expert))
    theirs = "same tasks, other agents" if family.published_splits else "tasks were drawn for this benchmark"
    return (
        "## Licence\n\nMIT, as the project.\n\n"
        "## Known limits\n\n"
        f"- These are not the data that Mitchell et al. (2021) released: {theirs}.\n"
        "- One training seed. The lowest expert return is "
        f"{number(known.references.expert[weakest])} (task {weakest}).\n"
        f"{_falls(family, known)}"
        f"{_together(recipe)}"
        "- `mixed` is a training life in as many stages as there are snapshots; between two of them "
        "behaviour does not drift.\n"
        "- Recorded with one version of one simulator; another version gives other trajectories. The simulator "
        "takes sines from the C library: recording needs an x86-64 processor with AVX2 and FMA (since about "
        "2015), without which they round otherwise; reading needs nothing.\n"
        "- Log-densities are those of a continuous action, taken at the grid point that was stored.\n"
    )


def _falls(family: Family, known: catalog.Entry) -> str:
    """How long the experts' episodes last, where they end early."""
    steps = known.references.expert_steps
    if steps is None or min(steps) == family.horizon:
        return ""
    shortest = int(np.argmin(steps))
    early = sum(one < family.horizon for one in steps)
    return (
        f"- In {early} of {family.tasks} tasks some episodes of the expert's mean action end early. They last "
        f"{np.mean(steps):.1f} of {family.horizon} steps on average over all tasks, {steps[shortest]:.1f} in task "
        f"{shortest}. Tier `expert` was recorded with stochastic actions: it may fall more often, and in other tasks.\n"
    )


def _together(recipe: Recipe) -> str:
    if recipe.sac.turned:
        return (
            "- Tasks that one agent was trained in have, at each age, the same policy in different frames. Where an "
            "episode begins is not turned with them.\n"
        )
    if recipe.sac.shared:
        return (
            "- Agents that share networks may behave more alike than agents trained apart; compare the blind "
            "reference with the tasks' own experts, above.\n"
        )
    return ""
