"""The replay's rows reach n steps ahead within an episode, as a plain loop over the episodes says."""

import numpy as np
import pytest
import torch

from benchmark.data.replay import Replay

AGENTS, COPIES, STEPS, DISCOUNT = 2, 3, 30, 0.9
LAST = np.array([[6, 8, 10], [5, 7, 30]])
"""Length of the episodes of each (agent, copy)."""


def life() -> dict[str, torch.Tensor]:
    """Everything that happens to all copies, (step, agent, copy, ...); an episode's end is termination if even."""
    random = torch.Generator().manual_seed(0)
    shape = (STEPS, AGENTS, COPIES)
    ages = torch.arange(STEPS)[:, None, None] % torch.from_numpy(LAST)
    ends = ages == torch.from_numpy(LAST) - 1
    return {
        "observations": torch.rand(*shape, 4, generator=random),
        "actions": torch.rand(*shape, 2, generator=random),
        "next_observations": torch.rand(*shape, 4, generator=random),
        "rewards": torch.rand(shape, generator=random),
        "terminated": (ends & (torch.from_numpy(LAST) % 2 == 0)).float(),
        "ages": ages,
    }


def filled(n_step: int, steps: int = STEPS) -> Replay:
    replay = Replay(AGENTS, STEPS * COPIES, 4, 2, n_step, DISCOUNT)
    told = life()
    for step in range(steps):
        replay.append(**{name: tensor[step] for name, tensor in told.items()})
    return replay


@pytest.mark.parametrize("n_step", [1, 2, 4, 9])
def test_rows_add_up_rewards_to_the_nth_step_or_the_end(n_step: int) -> None:
    replay, told = filled(n_step), life()
    for step, agent, copy in np.ndindex(STEPS, AGENTS, COPIES):
        row = replay.rows[agent, step * COPIES + copy]
        left = int(LAST[agent, copy]) - int(told["ages"][step, agent, copy])
        reach = min(n_step, left, STEPS - step)
        last = step + reach - 1
        rewards = [DISCOUNT**k * float(told["rewards"][step + k, agent, copy]) for k in range(reach)]
        goes_on = 1 - float(told["terminated"][last, agent, copy])
        torch.testing.assert_close(row[:4], told["observations"][step, agent, copy])
        torch.testing.assert_close(row[4:6], told["actions"][step, agent, copy])
        torch.testing.assert_close(row[6:10], told["next_observations"][last, agent, copy])
        assert float(row[-2]) == pytest.approx(sum(rewards), rel=1e-5)
        assert float(row[-1]) == pytest.approx(goes_on * DISCOUNT**reach, rel=1e-5)


def test_restored_rows_go_on_being_completed() -> None:
    whole, part = filled(4), filled(4, steps=17)
    second = Replay(AGENTS, STEPS * COPIES, 4, 2, 4, DISCOUNT)
    second.restore(part.rows[:, : part.stored].clone())
    told = life()
    for step in range(17, STEPS):
        second.append(**{name: tensor[step] for name, tensor in told.items()})
    assert torch.equal(second.rows, whole.rows)
    assert second.life == 1.0


def test_samples_are_each_agents_own_rows() -> None:
    replay = filled(3, steps=20)
    sampled = replay.sample(500, torch.Generator().manual_seed(1))
    for agent in range(AGENTS):
        known = {tuple(row.tolist()) for row in replay.rows[agent, : replay.stored]}
        found = {tuple(row.tolist()) for row in sampled[agent]}
        assert found <= known
        assert len(found) == len(known)
