"""What the data card of scripted behaviour says: levels, success rates per task and level, scripts that fail."""

from collections.abc import Sequence

import numpy as np

from benchmark.data import catalog
from benchmark.data.dataset import SIZES
from benchmark.data.markdown import number, percent, table
from benchmark.data.references import (
    TRIAL_EPISODES,
    References,
    SnapshotReturns,
    Successes,
    medium_snapshots,
)
from benchmark.data.scripts import LARGEST, Scripts
from benchmark.data.snapshots import UNIFORM
from benchmark.families.family import Family
from benchmark.families.ml45 import GOAL_SEED, GOALS, METAWORLD_VERSION, MetaWorld45

FAILING = 0.5
"""A script that solves its task on fewer of the goals than this is said to fail."""


def what(family: Family) -> str:
    """What the data are."""
    return (
        "## What\n\n"
        f"Offline data of {family.tasks} manipulation tasks of Meta-World {METAWORLD_VERSION}, numbered from 0: the "
        f"train classes of its ML45, then the five test classes. Each task has {GOALS} goals (those of "
        f"`metaworld.ML45(seed={GOAL_SEED})`), which change from episode to episode and are hidden: the last three of "
        f"the {family.observation_size} numbers of an observation are zero. Actions have {family.action_size} numbers "
        f"in (-1, 1); an episode is truncated after {family.horizon} steps of {family.control_step:g} s and never "
        "terminates. Rewards and the success flag are Meta-World's own; an episode succeeds if the flag is up at any "
        "step. The data are what the scripted expert of each task did at several levels, from near random to expert. "
        "Each transition also has the log-density of its action under the behaviour that took it, and each episode the "
        "number of the level (`snapshot`).\n"
    )


def recorded(scripts: Scripts, known: catalog.Entry) -> str:
    """How they were recorded."""
    few = SIZES["small"] // MetaWorld45.horizon
    return (
        "## How it was recorded\n\n"
        "1. **Scripts.** Meta-World ships one expert per task, a program that sees the goal. A level makes it "
        f"stochastic: u = skill x artanh(the script's action, clipped to {LARGEST}) + noise x N(0, 1), and the action "
        "is tanh(u). Nothing is trained. SHA-256 of what determines the behaviour: "
        f"`{known.snapshots}`.\n"
        f"2. **Recording.** They acted in MuJoCo {known.mujoco} through Meta-World {METAWORLD_VERSION}, with random "
        "numbers that depend on task, level and episode alone, and actions on a grid of 2^-12. Each task's episodes go "
        f"through its goals in turn. In size small these are {few} episodes for {GOALS} goals: not every goal is in a "
        "tier, and in `mixed` each level acts on a stretch of goals of its own. Recording is bit-for-bit reproducible: "
        "the content hashes below are checked after recording and whenever the data are opened.\n\n"
        "Tiers: `random`: uniformly random actions. `medium`: per task, the level whose success rate is nearest to "
        "half way between random and expert. `expert`: the last level. `mixed`: all of these and all in between, each "
        "for its share, from near random to expert.\n"
    )


def levels(scripts: Scripts, rows: Sequence[SnapshotReturns]) -> str:
    """The levels: skill, noise, share, and how they do on average."""
    lines = []
    for level, share in scripts.life_shares.items():
        own = [row for row in rows if row.snapshot == level]
        rates = [row.stochastic_success or 0.0 for row in own]
        made = scripts.levels[level] if level != UNIFORM else None
        settings = ("-", "-") if made is None else (f"{made.skill:g}", f"{made.noise:g}")
        mean = float(np.mean([row.stochastic_return for row in own]))
        lines.append(
            [level, *settings, percent(share), number(mean), percent(float(np.mean(rates))),
             percent(min(rates)), percent(max(rates))]
        )  # fmt: skip
    head = [
        "level",
        "skill",
        "noise",
        "share of `mixed`",
        "mean return",
        "mean success",
        "lowest task",
        "highest task",
    ]
    return (
        "## Behaviour, level by level\n\nStochastic behaviour, 20 goals per task; level -1 is uniformly random actions."
        "\n\n" + table(head, lines)
    )


def successes(family: Family, known: Successes, rows: Sequence[SnapshotReturns]) -> str:
    """Success rate of every task and level, and the tasks whose script fails."""
    medium, lines = medium_snapshots(rows), []
    numbers = sorted({row.snapshot for row in rows})
    rates = {(row.task, row.snapshot): row.stochastic_success or 0.0 for row in rows}
    for task in range(family.tasks):
        found = [percent(rates[task, level]) for level in numbers]
        lines.append(
            [
                task,
                family.task_text(task),
                *found,
                percent(known.expert[task]),
                percent(known.still[task]),
                medium[task],
            ]
        )
    head = [
        "task",
        "name",
        *(f"level {level}" for level in numbers),
        "expert",
        "standing still",
        "medium is level",
    ]
    return (
        "## Success rates\n\nShare of the evaluation's 20 goals on which the task is solved. Levels act "
        "stochastically; the expert is the last level's mean action.\n\n"
        + table(head, lines)
        + f"\n{_failing(family, known)}\n"
    )


def _failing(family: Family, known: Successes) -> str:
    named = [
        f"{family.task_text(task)} ({percent(rate)})"
        for task, rate in enumerate(known.expert)
        if rate < FAILING
    ]
    some = [
        f"{family.task_text(task)} ({percent(rate)})"
        for task, rate in enumerate(known.expert)
        if FAILING <= rate < 1
    ]
    return (
        f"Tasks whose script fails, on more than half of the goals: {', '.join(named) or 'none'}. "
        f"Solved on some goals only: {', '.join(some) or 'none'}."
    )


def references(family: Family, known: References, rows: Sequence[SnapshotReturns]) -> str:
    """Reference returns."""
    stochastic = {(row.task, row.snapshot): row.stochastic_return for row in rows}
    last = max(row.snapshot for row in rows)
    lines = [
        [task, family.task_text(task), *map(
            number, (known.random[task], known.still[task], stochastic[task, last], known.expert[task])
        )]
        for task in range(family.tasks)
    ]  # fmt: skip
    return (
        "## Reference returns\n\nMeans of the protocol's 20 episodes. The score of this family is the success rate in "
        "percent; returns stand beside it, and a higher return is not always a better policy: some tasks pay more for "
        "lingering near the goal than for reaching it.\n\n"
        + table(["task", "name", "random", "standing still", "expert, stochastic", "expert"], lines)
    )


def blind(family: Family, known: References) -> str:
    """The blind reference of every split, with success."""
    assert known.successes is not None
    lines = []
    for name, one in known.blind.items():
        tests = family.split(name).test
        own = [known.expert[task] for task in tests], [known.successes.expert[task] for task in tests]
        best = one.returns, known.successes.blind[name]
        values = [
            f"{percent(float(np.mean(rates)))}, {number(float(np.mean(returns)))}"
            for returns, rates in (best, own)
        ]
        lines.append(
            [f"`{name}`", len(family.split(name).train), len(tests), family.task_text(one.expert), *values]
        )
    head = [
        "split",
        "train tasks",
        "test tasks",
        "blind expert",
        "its success and return",
        "the test tasks' own experts",
    ]
    return (
        "## Blind reference\n\nThe train task's script that does best on a split's test tasks: an algorithm below it "
        "would do better to follow that one in every task, whatever its return. A script only maps observations to "
        "actions, so it can be run in any task; here, as for an algorithm, the goal is hidden from it (zeros in its "
        f"place). The best was looked for on {TRIAL_EPISODES} goals, then measured on all 20.\n\n"
        + table(head, lines)
    )


def limits() -> str:
    """Licence and known limits."""
    return (
        "## Licence\n\nMIT, as the project. Meta-World is MIT too.\n\n"
        "## Known limits\n\n"
        "- These are not the data that Mitchell et al. (2021) used, whose Meta-World was an older one.\n"
        "- Behaviour is scripted: levels differ in skill and noise, not in what a learner would do half way.\n"
        "- Scripts see the goal; a context's actions tell of it, its observations do not.\n"
        "- A goal decides the whole initial state: there are as many as goals.\n"
        "- Recorded with one version of MuJoCo and of Meta-World; others give other trajectories. Recording needs an "
        "x86-64 processor with AVX2 and FMA (since about 2015), and about nine minutes of one core per million "
        "transitions; reading needs nothing.\n"
        "- Log-densities are those of a continuous action, taken at the grid point that was stored.\n"
    )
