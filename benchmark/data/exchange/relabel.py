"""Relabelling: data of the half-cheetah or the ant of any origin become data of cheetah-dir, cheetah-vel, ant-dir.

The physics of the body is the same in all of them; what a task asks for is computed anew from the speed:

    half-cheetah   1. places in the infos, 2. speeds in the infos, 3. data of this project: places in the
                   observations, finer by the recorded rewards where these fit, 4. Gymnasium's reward plus its
                   control cost. All are exact to rounding.
    ant            1. places in the observations, of ant-goal's data; 2. speeds in the infos: exactly Gymnasium's
                   reward; neither is quite the family's (`families/family.py`); 3. velocities at both ends of a
                   step, an approximation, in data of ant-dir corrected along the recorded heading by the rewards,
                   where these fit.

Episodes longer than the horizon are cut into pieces of it, truncated; what is left over shorter is kept. Where the
family's episode would be over, a piece ends, terminated; steps taken in such states are left out. A piece of a
half-cheetah's run counts x from where it begins, as nothing but the observed place depends on it. What the source
holds several times, as relabelled data do, is taken once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.data.dataset import Progress, no_progress
from benchmark.data.exchange.checks import OBSERVED_VELOCITIES, Check, compared
from benchmark.data.exchange.intake import Portion, columns_of
from benchmark.data.exchange.minari_source import (
    BODY_OF_FAMILY,
    CONTROL_COSTS,
    Source,
    SourceEpisode,
    info,
)
from benchmark.data.exchange.motion import (
    ANT_VELOCITY,
    CHEETAH_VELOCITY,
    cheetah_positions,
    corrected_by_rewards,
    mean_ends,
    rewards_of_velocity,
    speed_tolerance,
    sub_step,
    terminal_states,
)
from benchmark.errors import ConfigError, DataError, UnknownNameError
from benchmark.families.cheetah import TORSO_HEIGHT
from benchmark.families.family import Array, Family


@dataclass(frozen=True)
class Piece:
    """A stretch of an episode of at most the horizon, in the family's observations."""

    observations: NDArray[np.float32]
    """(step + 1, observation)"""
    actions: NDArray[np.float32]
    """(step, action)"""
    velocities: Array
    """(step, 2), the torso's in the plane."""
    terminated: bool
    route: str
    """Where the velocities come from."""
    disagreement: Array | None
    """(step,), largest difference of a component of the velocity from the mean of those observed at both ends of the
    step; None where it is that mean."""
    reward_excess: Array | None
    """(step,), recorded rewards minus those of the velocities, where they do not fit, else zero; None: not compared."""


@dataclass(frozen=True)
class _Motion:
    """How an episode's torso moved."""

    route: str
    velocities: Array
    """(step, 2)"""
    reward_excess: Array | None = None
    """As in `Piece`."""
    independent: bool = True
    """Whether the velocities are of something else than of those observed."""


def check_fits(source: Source, family: Family, tasks: Sequence[int]) -> None:
    """Raise UnknownNameError, DataError or ConfigError unless the source can become data of these tasks."""
    if family.name not in BODY_OF_FAMILY:
        raise UnknownNameError("family that data can be relabelled into", family.name, BODY_OF_FAMILY)
    if BODY_OF_FAMILY[family.name] != source.body:
        raise DataError(
            f"{source.id} is data of the {source.body}, but {family.id} has the body {BODY_OF_FAMILY[family.name]}."
        )
    beyond = [task for task in tasks if task not in range(family.tasks)]
    if beyond or not tasks or len(set(tasks)) < len(tasks):
        raise ConfigError(
            f"--tasks {' '.join(map(str, tasks))}: different tasks of {family.id} are needed, which has 0 to "
            f"{family.tasks - 1}."
        )


def relabelled(
    source: Source, family: Family, tasks: Sequence[int], transitions: int, progress: Progress = no_progress
) -> Iterator[Portion]:
    """The portions of these tasks, rising: pieces of the source, spread evenly over it, the same for each task.

    `transitions` bounds the pieces of a task, to the nearest whole piece; there is one at least. Raises ConfigError
    where it is below 1, DataError for damaged sources.
    """
    if transitions < 1:
        raise ConfigError(f"--transitions {transitions} is too small: it takes 1 or more.")
    pieces, ends = _pieces(source, family)
    steps = sum(len(piece.actions) for piece in pieces)
    count = min(len(pieces), max(1, round(transitions / (steps / len(pieces)))))
    chosen = [pieces[index] for index in np.arange(count) * len(pieces) // count]
    for done, task in enumerate(sorted(tasks)):
        progress(done, len(tasks))
        yield Portion(_columns(family, task, chosen), [*_checks(source, chosen), *ends] if done == 0 else ())
    progress(len(tasks), len(tasks))


def _pieces(source: Source, family: Family) -> tuple[list[Piece], list[Check]]:
    """All different pieces, and checks of whole episodes; DataError where there is none."""
    found: dict[bytes, Piece] = {}
    total, ends = 0, []
    for episode in source.episodes():
        over = _over(family, episode)
        for piece in pieces_of(source, family, episode, over):
            found.setdefault(_fingerprint(piece), piece)
            total += 1
        ends.append(_ends_check(episode, over))
    if not found:
        raise DataError(f"{source.id} has no step that is taken in a state in which {family.id} goes on.")
    if len(found) < total:
        ends.append(
            Check("trajectories", f"{total - len(found):,} of {total:,} are repeated, and were taken once")
        )
    return list(found.values()), ends


def _fingerprint(piece: Piece) -> bytes:
    """The same for pieces of the same observations and actions, whatever was asked for."""
    return sha256(piece.observations.tobytes() + piece.actions.tobytes()).digest()


def _columns(family: Family, task: int, pieces: Sequence[Piece]) -> dict[str, NDArray[Any]]:
    actions = np.concatenate([piece.actions for piece in pieces])
    velocities = np.concatenate([piece.velocities for piece in pieces])
    return columns_of(
        task,
        np.concatenate([piece.observations for piece in pieces]),
        actions,
        rewards_of_velocity(family, family.parameters[task], velocities, actions),
        np.array([len(piece.actions) for piece in pieces]),
        np.array([piece.terminated for piece in pieces]),
    )


def _checks(source: Source, pieces: Sequence[Piece]) -> list[Check]:
    """How the velocities were found, and how far they are from those observed at the ends of a step."""
    found = []
    for route in dict.fromkeys(piece.route for piece in pieces):
        what = f"velocities from {route}"
        parts = [piece.disagreement for piece in pieces if piece.route == route]
        apart = [part for part in parts if part is not None]
        if not apart:
            found.append(Check(what, "not checkable: nothing else says how fast it was"))
            continue
        off = np.concatenate(apart)
        found.append(compared(what, "the observed ones at both ends of a step", off, PLAUSIBLE))
        if np.median(off) > PLAUSIBLE:
            raise DataError(
                f"{source.id}: velocities from {route} are {np.median(off):.2f} m/s off those observed, in "
                "the median. Its rewards or infos are not those of Gymnasium's environment."
            )
    excess = [piece.reward_excess for piece in pieces if piece.reward_excess is not None]
    if excess:
        found.append(
            compared("recorded rewards", "the velocities observed, which count", np.concatenate(excess))
        )
    return found


PLAUSIBLE = 1.0
"""Metres per second by which a step's mean velocity may differ from those at its ends: feet hit the ground."""


def _over(family: Family, episode: SourceEpisode) -> NDArray[np.bool_]:
    """Whether the family's episode would be over, (step + 1,), in each state of this one."""
    over = terminal_states(family, episode.observations)
    assert over is not None, f"the observation of {family.name} is its state"
    return over


def _ends_check(episode: SourceEpisode, over: NDArray[np.bool_]) -> Check:
    """The source's terminations against the family's: a source that goes on after a fall differs in many rows."""
    recorded = np.zeros(len(episode.rewards), np.bool_)
    recorded[-1] = episode.terminated
    against = "the family's termination (pieces end by it)"
    return compared("terminal flags", against, (recorded != over[1:]).astype(np.float64))


def pieces_of(source: Source, family: Family, episode: SourceEpisode, over: NDArray[np.bool_]) -> list[Piece]:
    """The episode in the family's observations, with velocities, cut at the family's horizon and where it is `over`."""
    cheetah = source.body == "half-cheetah"
    motion = (_cheetah_motion if cheetah else _ant_motion)(source, episode)
    velocities, excess, off = motion.velocities, motion.reward_excess, None
    if motion.independent:
        first, axes = (CHEETAH_VELOCITY, 1) if cheetah else (ANT_VELOCITY, 2)
        observed = mean_ends(episode.observations[:, first : first + axes])
        off = np.abs(velocities[:, :axes] - observed).max(-1)
    pieces = []
    edges = np.flatnonzero(np.diff(over[:-1], prepend=True, append=True)).reshape(-1, 2).tolist()
    cuts = [(start, stop) for begin, stop in edges for start in range(begin, stop, family.horizon)]
    for start, last in cuts:
        stop = min(start + family.horizon, last)
        if cheetah:
            seen = _cheetah_observations(family, source, episode, velocities, start, stop)
        else:
            seen = episode.observations[start : stop + 1, : family.observation_size]
        inside = slice(start, stop)
        pieces.append(
            Piece(
                seen.astype(np.float32), episode.actions[inside].astype(np.float32), velocities[inside],
                bool(over[stop]), motion.route,
                None if off is None else off[inside], None if excess is None else excess[inside],
            )
        )  # fmt: skip
    return pieces


def _cheetah_motion(source: Source, episode: SourceEpisode) -> _Motion:
    if source.family is not None:
        return _own_cheetah_motion(source.family, episode)
    steps, dt = len(episode.rewards), 0.05
    qpos = info(episode, "qpos", steps + 1)
    places = qpos[:, 0] if qpos is not None and qpos.ndim == 2 else info(episode, "x_position", steps + 1)
    if places is not None:
        return _Motion("places in the infos", _forward(np.diff(places) / dt))
    speeds = info(episode, "x_velocity", steps)
    if speeds is not None:
        return _Motion("speeds in the infos", _forward(speeds))
    cost = float(source.settings.get("ctrl_cost_weight", CONTROL_COSTS["half-cheetah"]))
    weight = float(source.settings.get("forward_reward_weight", 1.0))
    effort = np.square(episode.actions).sum(-1)
    return _Motion("rewards", _forward((episode.rewards + cost * effort) / weight))


def _own_cheetah_motion(family: Family, episode: SourceEpisode) -> _Motion:
    first = np.arange(len(episode.observations)) == 0
    places = cheetah_positions(family, episode.observations, first)
    velocities = _forward(np.diff(places) / family.control_step)
    if episode.task is None:
        return _Motion("places in the observations", velocities)
    parameter = family.parameters[episode.task]
    tolerance = speed_tolerance(family, places[:-1], places[1:], episode.observations[1:, CHEETAH_VELOCITY])
    exact = corrected_by_rewards(family, parameter, velocities, episode.actions, episode.rewards, tolerance)
    return _Motion("places in the observations and rewards", *exact)


def _ant_motion(source: Source, episode: SourceEpisode) -> _Motion:
    if episode.place is not None:
        return _Motion("places in the observations", _torso_velocities(source, episode, episode.place))
    steps = len(episode.rewards)
    along = [info(episode, name, steps) for name in ("x_velocity", "y_velocity")]
    if along[0] is not None and along[1] is not None:
        return _Motion("speeds in the infos", np.stack([along[0], along[1]], -1))
    observed = mean_ends(episode.observations[:, ANT_VELOCITY : ANT_VELOCITY + 2])
    tolerance = OBSERVED_VELOCITIES["ant-dir"].tolerance
    if source.family is None:
        excess = episode.rewards - _gymnasiums_ant_rewards(source, observed, episode.actions)
        excess[np.abs(excess) <= tolerance] = 0.0
        return _Motion("velocities observed (approximate)", observed, excess, independent=False)
    if episode.task is None:
        return _Motion("velocities observed (approximate)", observed, independent=False)
    parameter = source.family.parameters[episode.task]
    corrected = corrected_by_rewards(
        source.family, parameter, observed, episode.actions, episode.rewards, tolerance
    )
    return _Motion("velocities observed, along the recorded heading by rewards (approximate)", *corrected)


def _torso_velocities(source: Source, episode: SourceEpisode, place: Array) -> Array:
    """(step, 2) from the root's place (step + 1, 2): the torso's lags nearly h qvel behind, but after a reset not."""
    assert source.family is not None, "Gymnasium's ant does not observe its place"
    lag = sub_step(source.family) * episode.observations[:, ANT_VELOCITY : ANT_VELOCITY + 2]
    lag[0] = 0.0
    return np.asarray(np.diff(place - lag, axis=0) / source.family.control_step)


def _gymnasiums_ant_rewards(source: Source, velocities: Array, actions: Array) -> Array:
    """Rewards (step,) of Gymnasium's ant at these velocities (step, 2), without its small cost of contacts."""
    weight, healthy = (
        float(source.settings.get(name, 1.0)) for name in ("forward_reward_weight", "healthy_reward")
    )
    cost = float(source.settings.get("ctrl_cost_weight", CONTROL_COSTS["ant"]))
    return np.asarray(weight * velocities[:, 0] + healthy - cost * np.square(actions).sum(-1))


def _forward(speeds: Array) -> Array:
    return np.stack([speeds, np.zeros_like(speeds)], axis=-1)


def _cheetah_observations(
    family: Family, source: Source, episode: SourceEpisode, velocities: Array, start: int, stop: int
) -> Array:
    """Observations (stop - start + 1, 20): the torso's place is where the root is, one sub-step before."""
    seen = episode.observations[start : stop + 1, :17]
    if source.family is not None and start == 0:
        return episode.observations[: stop + 1]
    places = np.concatenate([[0.0], np.cumsum(velocities[start:stop, 0]) * family.control_step])
    if start == 0:
        places += _first_place(episode)
    lag = np.full(len(seen), sub_step(family))
    if start == 0:
        lag[0] = 0.0
    x = places - lag * seen[:, CHEETAH_VELOCITY]
    z = seen[:, 0] + TORSO_HEIGHT - lag * seen[:, CHEETAH_VELOCITY + 1]
    return np.concatenate([seen, np.stack([x, np.zeros_like(x), z], axis=-1)], axis=1)


def _first_place(episode: SourceEpisode) -> float:
    """The root's x at the start of the episode, zero where the infos do not hold it."""
    steps = len(episode.rewards)
    qpos, places = info(episode, "qpos", steps + 1), info(episode, "x_position", steps + 1)
    if qpos is not None and qpos.ndim == 2:
        return float(qpos[0, 0])
    return 0.0 if places is None else float(places[0])
