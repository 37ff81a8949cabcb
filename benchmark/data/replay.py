"""The replay of many agents, each with rows of its own, whose rewards reach n steps ahead.

    a row    observation, action, the observation k steps later, r_0 + g r_1 + ... + g^(k-1) r_(k-1), g^k or 0

k is n, or less where the episode ends before; the last column is 0 where it truly terminates. Rows of the last steps
are completed as their episodes go on, so that sampling costs the same for every n. Steps between are those of older
policies and are not corrected for, as usual with short n (Hessel et al., "Rainbow", 2018; Barth-Maron et al.,
"Distributed distributional deterministic policy gradients", 2018).
"""

import torch
from torch import Tensor


class Replay:
    """Rows (agent, transition, column); nothing is forgotten."""

    def __init__(
        self, agents: int, capacity: int, observations: int, actions: int, n_step: int, discount: float
    ) -> None:
        """`capacity`: transitions per agent."""
        self.start = observations + actions
        """The column in which the later observation begins."""
        self.rows = torch.zeros(agents, capacity, self.start + observations + 2)
        self.n_step, self.discount = n_step, discount
        self._first_rows = (torch.arange(agents) * capacity)[:, None]
        self.stored = 0

    @property
    def life(self) -> float:
        """How much of the capacity is used: the share of the training life that is over."""
        return self.stored / self.rows.shape[1]

    def append(
        self, observations: Tensor, actions: Tensor, next_observations: Tensor, rewards: Tensor,
        terminated: Tensor, ages: Tensor,
    ) -> None:  # fmt: skip
        """Add a step of every environment, tensors (agent, environment, ...); the capacity must not be exceeded.

        `ages`: how many steps of the same episode went before, of which the last n - 1 are completed.
        """
        together = observations.shape[1]
        bootstrap = self.discount * (1 - terminated)
        pieces = (observations, actions, next_observations, rewards[..., None], bootstrap[..., None])
        new = torch.cat(pieces, dim=-1)
        for back in range(1, min(self.n_step - 1, self.stored // together) + 1):
            begin = self.stored - back * together
            rows = self.rows[:, begin : begin + together]
            same = ages >= back
            factor = self.discount**back
            later = torch.cat(
                [
                    next_observations,
                    (rows[..., -2] + factor * rewards)[..., None],
                    (factor * bootstrap)[..., None],
                ],
                dim=-1,
            )
            rows[..., self.start :] = torch.where(same[..., None], later, rows[..., self.start :])
        self.rows[:, self.stored : self.stored + together] = new
        self.stored += together

    def sample(self, size: int, random: torch.Generator) -> Tensor:
        """Random rows, (agent, size, column), each agent's from its own."""
        agents, _, columns = self.rows.shape
        rows = torch.randint(0, self.stored, (agents, size), generator=random) + self._first_rows
        return self.rows.view(-1, columns).index_select(0, rows.view(-1)).view(agents, size, columns)

    def restore(self, rows: Tensor) -> None:
        """Fill with rows that were stored before."""
        self.stored = rows.shape[1]
        self.rows[:, : self.stored] = rows
