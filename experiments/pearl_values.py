"""What a finished run of offline PEARL believes of its test tasks beside what is so; leaderboard/REPORT.md quotes it.

    python experiments/pearl_values.py runs/paper/cheetah-dir/pearl/seed-0

Values are of scaled rewards, discounted; the values that PEARL learns have its entropy in them too.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from baselines.pearl import Pearl, _rows
from benchmark.commands import finished_run
from benchmark.errors import BenchmarkError, RunError
from benchmark.evaluation import as_act
from benchmark.protocol import ContextChoice
from benchmark.rollouts import record_episodes
from benchmark.training import Run

EPISODES = 20
TRANSITIONS = 4096
"""Recorded ones per task that Q is asked about."""


def learned(run: Run) -> Pearl:
    """What the run has learned; raises RunError where that is not PEARL's."""
    method = run.tested.now()
    if not isinstance(method, Pearl):
        raise RunError(f"the run is of {method.name}.")
    return method


def smaller_q(method: Pearl, observations: Tensor, latent: Tensor, actions: Tensor) -> Tensor:
    """min Q (row,) of actions (task, lane, action)."""
    rows = _rows(observations, latent, actions)
    return method._outputs(method._critics, rows).squeeze(-1).amin(1).flatten()


@torch.no_grad()
def findings(run: Run, method: Pearl) -> list[str]:
    """Lines of text: tasks told apart, values of first states, Q of recorded states."""
    tasks, scale = run.split.test, method.config.reward_scale
    mean, variance = method.posterior(run.evaluator.context(ContextChoice()))
    apart = (mean - mean.roll(1, 0)).abs() / variance.sqrt()
    found = [f"the latents of two tasks differ by up to {float(apart.max()):.1f} standard deviations"]
    for whose, latent in (("its own", mean), ("the task's before", mean.roll(1, 0)), ("no", 0 * mean)):
        act = as_act(method, method.acting(latent), run.family, run.evaluator.device)
        episodes = record_episodes(run.family, tasks, act, EPISODES, ("pearl values",))
        factors = torch.as_tensor(run.family.observation_scale, dtype=torch.float32)
        first = torch.from_numpy(episodes.observations[:, :, 0]) * factors
        believed = float(method._outputs(method._value, _rows(first, latent)).mean())
        powers = method.config.discount ** np.arange(run.family.horizon)
        real = scale * float((episodes.rewards * powers).sum(-1).mean())
        returns = ", ".join(f"{value:.1f}" for value in episodes.rewards.sum(-1).mean(-1))
        found.append(
            f"with {whose} latent: returns {returns}; V of first states {believed:.0f}, discounted rewards {real:.0f}"
        )
    if set(tasks) <= set(run.split.train):
        slots = torch.tensor([run.split.train.index(task) for task in tasks])
        batch = run.data.transitions(slots, TRANSITIONS)
        chosen = smaller_q(method, batch.observations, mean, method.acting(mean)(batch.observations))
        recorded = smaller_q(method, batch.observations, mean, batch.actions)
        found.append(
            f"min Q of recorded states: {float(recorded.mean()):.0f} for recorded actions, {float(chosen.mean()):.0f} "
            f"for the policy's, which are higher in {100 * float((chosen > recorded).float().mean()):.1f} % of them; "
            f"recorded discounted rewards, to the end of the episode, {scale * float(batch.returns.mean()):.0f}"
        )
    return found


def main(arguments: list[str]) -> int:
    """The script; 2 where there is no such run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", help="the folder of a finished run of PEARL")
    folder = Path(parser.parse_args(arguments).run)
    try:
        run = finished_run(folder)
        lines = findings(run, learned(run))
    except (BenchmarkError, OSError) as error:
        Console(stderr=True, highlight=False, markup=False, soft_wrap=True).print(
            f"{folder} is not a finished run of PEARL: {error}"
        )
        return 2
    Console(highlight=False, markup=False, soft_wrap=True).print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
