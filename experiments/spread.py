"""How far a finished run's return depends on which context and which first states it is tested with.

    python experiments/spread.py runs/paper/walker-params/macaw/seed-0 --draws 8

The usual context is the first of the draws; the others are the next transitions of the same fixed order, which no
two share. leaderboard/REPORT.md quotes it, beside how far returns differ between the run's tests.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmark.algorithm import Policy, Transitions
from benchmark.calls import adapt
from benchmark.commands import finished_run
from benchmark.errors import BenchmarkError
from benchmark.evaluation import as_act
from benchmark.families.family import Array
from benchmark.protocol import CONTEXT_SIZE, EPISODES, ContextChoice
from benchmark.rollouts import record_episodes
from benchmark.training import Run


def returns(run: Run, policy: Policy, draw: int) -> Array:
    """Mean returns (task,) of the usual number of episodes from first states of this draw."""
    act = as_act(run.tested.now(), policy, run.family, run.evaluator.device)
    episodes = record_episodes(run.family, run.split.test, act, EPISODES, ("spread", draw))
    return np.asarray(episodes.rewards.sum(-1).mean(-1))


def line(what: str, tasks: tuple[int, ...], found: Array) -> str:
    """The mean and its standard deviation over draws, of all tasks and of each, of returns (draw, task)."""
    over = found.mean(1)
    each = ", ".join(
        f"{task}: {one.mean():.1f} ± {one.std(ddof=1):.1f}" for task, one in zip(tasks, found.T, strict=True)
    )
    return f"{what}: {over.mean():.1f} ± {over.std(ddof=1):.1f} ({over.min():.1f} to {over.max():.1f}); task {each}"


def findings(run: Run, draws: int) -> list[str]:
    """A line of text for the usual test and for each source of chance."""
    method, tasks = run.tested.now(), run.split.test
    context = run.evaluator.context(ContextChoice("mixed", CONTEXT_SIZE * draws))

    def between(begin: int, end: int) -> Transitions:
        return context.map(lambda column: column[:, begin:end])

    with run.evaluator.own_randomness("mixed", CONTEXT_SIZE):
        begins = range(0, CONTEXT_SIZE * draws, CONTEXT_SIZE)
        policies = [adapt(method, between(begin, begin + CONTEXT_SIZE)) for begin in begins]
        nothing = adapt(method, between(0, 0))
    usual = run.evaluator.evaluate(method, ContextChoice())
    contexts = np.stack([returns(run, policy, 0) for policy in policies])
    states = np.stack([returns(run, policies[0], draw) for draw in range(draws)])
    unadapted = np.stack([returns(run, nothing, draw) for draw in range(draws)])
    return [
        f"the usual test: {usual.adapted.mean():.1f}, un-adapted {usual.unadapted.mean():.1f}",
        line("other contexts", tasks, contexts),
        line("other first states", tasks, states),
        line("un-adapted, other first states", tasks, unadapted),
    ]


def main(arguments: list[str]) -> int:
    """The script; 2 where there is no such run, or its tasks have too few data."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="the folder of a finished run")
    parser.add_argument("--draws", type=int, default=8, help="of contexts, and of first states; 2 at least")
    chosen = parser.parse_args(arguments)
    if chosen.draws < 2:
        parser.error(f"--draws {chosen.draws}: it takes 2 at least to differ.")
    try:
        lines = findings(finished_run(chosen.run), chosen.draws)
    except (BenchmarkError, OSError) as error:
        Console(stderr=True, highlight=False, markup=False, soft_wrap=True).print(f"{chosen.run}: {error}")
        return 2
    Console(highlight=False, markup=False, soft_wrap=True).print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
