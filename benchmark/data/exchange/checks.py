"""What can be checked of data that others recorded: how many rows disagree, and by how much.

A check never changes or refuses data; it says what a reader of the data should know.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmark.data.dataset import Dataset
from benchmark.data.exchange.motion import (
    ANT_VELOCITY,
    CHEETAH_VELOCITY,
    ROUNDING,
    cheetah_positions,
    mean_ends,
    rewards_of_velocity,
    speed_tolerance,
    sub_step,
    terminal_states,
)
from benchmark.families.ant import AntGoal
from benchmark.families.cheetah import HalfCheetah
from benchmark.families.family import Array, Family, State
from benchmark.families.point import PointRobot

AT_ONCE = 100_000
"""Rows whose states are computed together; whole states of all would take gigabytes."""


@dataclass(frozen=True)
class Check:
    """One thing that was compared, or could not be."""

    what: str
    """Such as `rewards`."""
    against: str
    """What it was held against, and where that is approximate or impossible, why."""
    checked: int = 0
    """Number of rows or episodes compared; 0 where it could not be checked."""
    disagree: int = 0
    """How many of them differ by more than the tolerance."""
    largest: float = 0.0
    """Largest deviation, in the quantity's own unit."""
    tolerance: float = 0.0
    """Largest tolerance of any row."""

    def joined(self, other: "Check") -> "Check":
        """Both together."""
        return replace(
            self,
            checked=self.checked + other.checked,
            disagree=self.disagree + other.disagree,
            largest=max(self.largest, other.largest),
            tolerance=max(self.tolerance, other.tolerance),
        )


def joined(checks: Iterable[Check]) -> list[Check]:
    """Checks of several tasks added up, by what they checked."""
    found: dict[tuple[str, str], Check] = {}
    for check in checks:
        key = (check.what, check.against)
        found[key] = found[key].joined(check) if key in found else check
    return list(found.values())


def compared(
    what: str, against: str, deviations: NDArray[np.floating], tolerance: NDArray[np.floating] | float = 0.0
) -> Check:
    """A check from deviations (row,) and their tolerances (row,), or one for all."""
    sizes = np.abs(deviations.astype(np.float64))
    allowed = np.broadcast_to(np.asarray(tolerance, np.float64), sizes.shape)
    return Check(
        what, against, len(sizes), int((sizes > allowed).sum()), float(sizes.max()), float(allowed.max())
    )


def common_checks(
    family: Family, data: Dataset, flagged: NDArray[np.bool_], known: NDArray[np.bool_] | None = None
) -> list[Check]:
    """Checks that any format allows, of the data of one task; `flagged` (row,) are its terminal flags.

    `known` (row,) says of which rows the observation after the step is known; None: of all.
    """
    return [
        _rewards(family, data, known),
        _lengths(family, data),
        _terminations(family, data, flagged, known),
        compared(
            "actions", "the range [-1, 1]", np.maximum(np.abs(data.actions).max(-1) - 1, 0), 4 * ROUNDING
        ),
    ]


def _lengths(family: Family, data: Dataset) -> Check:
    """Episodes that were truncated before the horizon; longer ones are not taken in."""
    early = (data.lengths < family.horizon) & data.terminated
    deviations = np.where(early, 0, data.lengths - family.horizon)
    return compared("episode lengths", f"the horizon of {family.horizon} steps", deviations)


def _terminations(
    family: Family, data: Dataset, flagged: NDArray[np.bool_], known: NDArray[np.bool_] | None
) -> Check:
    """Terminal flags of the rows where it is known, against what the family says of the state after the step."""
    following, over = frames_of_rows(data) + 1, []
    for start in range(0, data.rows, AT_ONCE):
        terminal = terminal_states(family, data.observations[following[start : start + AT_ONCE]])
        if terminal is None:
            return Check(
                "terminal flags", f"not checked: how {family.name} ends is not told by its observation"
            )
        over.append(terminal)
    wrong = (flagged != np.concatenate(over)).astype(np.float64)
    return _where_known("terminal flags", "the family's termination", wrong, 0.0, known)


def _where_known(
    what: str, against: str, deviations: NDArray[np.floating], tolerance: NDArray[np.floating] | float,
    known: NDArray[np.bool_] | None,
) -> Check:  # fmt: skip
    """The comparison of the rows (row,) whose observation after the step is known."""
    if known is None or known.all():
        return compared(what, against, deviations, tolerance)
    if not known.any():
        return Check(what, "not checkable: no state after a step is there")
    allowed = np.broadcast_to(np.asarray(tolerance, np.float64), deviations.shape)
    note = f"{against} (where the state after a terminal step is not left out)"
    return compared(what, note, deviations[known], allowed[known])


def frames_of_rows(data: Dataset) -> NDArray[np.int64]:
    """(row,), place of each row's observation among the observations."""
    return np.arange(data.rows) + np.repeat(np.arange(data.episodes), data.lengths)


Wanted = tuple[str, Array, Array | float]
"""What rewards are held against, its values (row,), and the tolerance."""


def _rewards(family: Family, data: Dataset, known: NDArray[np.bool_] | None) -> Check:
    """Rewards against the family's function, where the observation holds the speed or nearly so."""
    if isinstance(family, HalfCheetah):
        against, wanted, tolerance = _cheetah_rewards(family, data)
    elif isinstance(family, PointRobot | AntGoal):
        against, wanted, tolerance = _goal_rewards(family, data)
    elif family.name in OBSERVED_VELOCITIES:
        against, wanted, tolerance = _velocity_rewards(family, data, OBSERVED_VELOCITIES[family.name])
    else:
        lacking = f"not checkable: the observation of {family.name} leaves out what they depend on"
        return Check("rewards", lacking)
    return _where_known("rewards", against, data.rewards - wanted, tolerance, known)


def _goal_rewards(family: PointRobot | AntGoal, data: Dataset) -> Wanted:
    """The place is observed; the ant's torso, whose distance counts, lags one sub-step behind, nearly h qvel."""
    positions, after = family.model(0).nq, data.observations[frames_of_rows(data) + 1].astype(np.float64)
    qpos, qvel = after[:, :positions], after[:, positions:]
    torso, tolerance = family.torso_position(qpos), 4 * ROUNDING
    if isinstance(family, AntGoal):
        torso, tolerance = torso - sub_step(family) * qvel[:, :3], ANT_GOAL_TOLERANCE
    state, exact = State(qpos, qvel, torso), data.actions.astype(np.float64)
    wanted = family.reward(family.parameters[np.repeat(data.tasks, data.lengths)], state, exact, state)
    return "the family's reward at the observed places", wanted, tolerance


def _cheetah_rewards(family: Family, data: Dataset) -> Wanted:
    frames = frames_of_rows(data)
    first = np.zeros(len(data.observations), np.bool_)
    first[data.row_starts[:-1] + np.arange(data.episodes)] = True
    places = cheetah_positions(family, data.observations, first)
    speeds = (places[frames + 1] - places[frames]) / family.control_step
    velocities = data.observations[frames + 1, CHEETAH_VELOCITY]
    tolerance = speed_tolerance(family, places[frames], places[frames + 1], velocities)
    wanted = _rewards_at(family, data, np.stack([speeds, np.zeros_like(speeds)], -1))
    return "the family's reward at the observed places", wanted, tolerance


@dataclass(frozen=True)
class ObservedVelocity:
    """Where an observation holds the velocity of the torso in the plane, whose place it leaves out."""

    first: int
    """Place of its first component in an observation."""
    axes: int
    """Number of components, x or x and y."""
    tolerance: float
    """Metres per second that the mean of both ends of a step may be off its mean: legs hit the ground in between."""


OBSERVED_VELOCITIES = {
    "ant-dir": ObservedVelocity(ANT_VELOCITY, 2, 1.5),
    "walker-params": ObservedVelocity(8, 1, 1.2),
    "hopper-params": ObservedVelocity(5, 1, 0.3),
    "humanoid-dir": ObservedVelocity(22, 2, 0.3),
}
"""By family. In two episodes of every task and snapshot rewards were off by 0.05, 0.005, 0.0002 and 0.005 in the
median, by 0.8, 0.4, 0.09 and 0.07 in one step of a thousand, by 1.25, 0.9, 0.18 and 0.14 at most; ants that swing their
legs by 1.4."""

ANT_GOAL_TOLERANCE = 5e-3
"""Of the reward; in 60 thousand steps of random, mixed and expert actions it was off by 2.3e-3 at most."""


def _velocity_rewards(family: Family, data: Dataset, seen: ObservedVelocity) -> Wanted:
    """Only a comparison with velocities at both ends of a step, within a tolerance of their typical errors."""
    velocities = np.zeros((len(data.observations) - 1, 2))
    velocities[:, : seen.axes] = mean_ends(data.observations[:, seen.first : seen.first + seen.axes])
    wanted = _rewards_at(family, data, velocities[frames_of_rows(data)])
    note = "the family's reward at the velocities observed (approximate: the place is not observed)"
    return note, wanted, seen.tolerance


def _rewards_at(family: Family, data: Dataset, velocities: Array) -> Array:
    parameters = family.parameters[np.repeat(data.tasks, data.lengths)]
    return rewards_of_velocity(family, parameters, velocities, data.actions)
