"""What observations say of a body's state and speed, and rewards from speeds.

Half-cheetah, exactly: MuJoCo's Euler step is qpos' = qpos + h qvel', and the torso of an observation lags one
sub-step h behind qpos, so x = torso x + h * qvel x in every observation but the first after a reset, where nothing
lags. Ant and others do not see their place: speeds from velocities at both ends of a step are an approximation.
"""

import numpy as np
from numpy.typing import NDArray

from benchmark.families.cheetah import TORSO_HEIGHT
from benchmark.families.family import Array, BodyFamily, Family, State

HIDDEN = {
    "cheetah-dir": 1, "cheetah-vel": 1, "ant-dir": 2, "walker-params": 1, "hopper-params": 1,
    "point-robot": 0, "ant-goal": 0, "humanoid-dir": 2,
}  # fmt: skip
"""Leading coordinates of qpos (the place) that observations leave out, of families whose state they hold else."""
CHEETAH_X, CHEETAH_VELOCITY = 17, 8
"""Places of the torso's x and of the root's velocity in an observation of the half-cheetah."""
ANT_VELOCITY = 13
"""Place of the torso's velocity in an observation of the ant."""
ROUNDING = float(np.finfo(np.float32).eps)
"""Relative distance of neighbouring 32-bit numbers."""
SLOPE_STEP = 1e-6
"""Metres per second between two speeds whose rewards are compared."""


def terminal_states(family: Family, observations: NDArray[np.floating]) -> NDArray[np.bool_] | None:
    """Whether each observation (row, observation) is of a true terminal state; None where it is not known."""
    if not family.ends_early:
        return np.zeros(len(observations), np.bool_)
    hidden = HIDDEN.get(family.name)
    if hidden is None:
        return None
    exact, body = observations.astype(np.float64), _body(family)
    model = body.model(0)
    seen = model.nq - hidden
    qpos = np.concatenate([np.zeros((len(exact), hidden)), exact[:, :seen]], axis=1)
    return body.terminated(State(qpos, exact[:, seen : seen + model.nv], np.zeros((len(exact), 3))))


def time_limits(
    family: Family, lengths: NDArray[np.int64], finals: NDArray[np.floating]
) -> NDArray[np.bool_]:
    """Whether an episode (episode,) ended by the time limit: at the horizon, in a state that ends none."""
    terminal = terminal_states(family, finals)
    at_horizon = lengths >= family.horizon
    return at_horizon if terminal is None else at_horizon & ~terminal


def _body(family: Family) -> BodyFamily:
    """The family, which is one of those that only bodies of MuJoCo are asked about here."""
    assert isinstance(family, BodyFamily), f"{family.name} has no body"
    return family


def sub_step(family: Family) -> float:
    """Seconds of one step of the simulator."""
    return float(_body(family).model(0).opt.timestep)


def cheetah_positions(family: Family, observations: NDArray[np.floating], first: NDArray[np.bool_]) -> Array:
    """The root's x (frame,) in metres from observations (frame, 20) of whole episodes.

    `first` (frame,) marks the first ones of episodes. Whether they follow a reset, or a part that was cut off, is
    seen from the torso's height, which lags as x does.
    """
    height, forward, upward = 0, CHEETAH_VELOCITY, CHEETAH_VELOCITY + 1
    exact = {
        place: observations[:, place].astype(np.float64)
        for place in (height, forward, upward, CHEETAH_X, CHEETAH_X + 2)
    }
    fallen = sub_step(family) * exact[upward]
    ahead = exact[height] + TORSO_HEIGHT - exact[CHEETAH_X + 2]
    after_reset = first & (np.abs(ahead) <= np.abs(ahead - fallen))
    lag = np.where(after_reset, 0.0, sub_step(family))
    return np.asarray(exact[CHEETAH_X] + lag * exact[forward])


def speed_tolerance(family: Family, before: Array, after: Array, velocities: NDArray[np.floating]) -> Array:
    """Metres per second (row,) by which speeds between the root's x before and after a step may be off.

    It is the rounding of 32-bit observations: the farther out, the coarser is a position. `velocities` (row,) are the
    root's after the step.
    """
    farthest = np.maximum(np.abs(after), np.abs(before)) + sub_step(family) * np.abs(velocities)
    speeds = np.abs(after - before) / family.control_step
    return np.asarray(2 * ROUNDING * (farthest / family.control_step + speeds + 4))


def mean_ends(velocities: NDArray[np.floating]) -> Array:
    """Means (step, ...) of velocities (step + 1, ...) at both ends of every step: an approximation."""
    exact = velocities.astype(np.float64)
    return np.asarray((exact[1:] + exact[:-1]) / 2)


def rewards_of_velocity(
    family: Family, parameters: Array, velocities: Array, actions: NDArray[np.floating]
) -> Array:
    """Rewards (row,) of one control step at mean velocities (row, 2) of the torso in the plane, m/s.

    The reward is the family's own function, of states that are made up: nothing but the place changes.
    """
    rest = np.zeros((len(velocities), 3))
    moved = rest.copy()
    moved[:, :2] = velocities * family.control_step
    exact = actions.astype(np.float64)
    return _body(family).reward(parameters, State(rest, rest, rest), exact, State(moved, rest, moved))


def corrected_by_rewards(
    family: Family, parameters: Array, velocities: Array, actions: NDArray[np.floating], rewards: Array,
    tolerance: Array | float,
) -> tuple[Array, Array]:  # fmt: skip
    """Velocities (row, 2) moved along the reward's slope to where the recorded rewards (row,) are met.

    For the half-cheetah that gives the speed to the precision of the recorded reward, for the ant the part along
    the recorded task's heading; what the reward does not depend on stays as it is. So do velocities whose rewards
    are off by more than `tolerance` (row,): those are of something else. Second, by how much these are off, (row,),
    zero for all others.
    """
    at = rewards_of_velocity(family, parameters, velocities, actions)
    wrong = ~(np.abs(rewards - at) <= tolerance)
    shifts = SLOPE_STEP * np.eye(2)
    slopes = np.stack(
        [rewards_of_velocity(family, parameters, velocities + shift, actions) - at for shift in shifts], -1
    )
    slopes /= SLOPE_STEP
    steepness = np.square(slopes).sum(-1)
    known = (steepness > 0.5) & ~wrong  # a reward's kink between the two speeds leaves less
    steps = np.where(known, (rewards - at) / np.where(known, steepness, 1.0), 0.0)
    return np.asarray(velocities + steps[:, None] * slopes), np.where(wrong, rewards - at, 0.0)
