"""Batch simulation of `ml45`: lanes of Meta-World environments, stepped one after another by a few processes.

    this process -- tasks of lanes 0 ... 49 --> process 0 -- observations, rewards, successes -.
                 |- tasks of lanes 50 ... 99 -> process 1 -- observations, rewards, successes --+--> step of all lanes

Meta-World computes in Python, which one process does on one core only. Every lane is an environment of its own, so
neither the number of lanes nor that of processes reaches a result, bit for bit. With `threads=0`, or a single lane,
everything happens in the calling thread.
"""

import multiprocessing
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from benchmark.errors import RunError
from benchmark.families.metaworld_arena import Arena, Model
from benchmark.families.ml45 import CLASSES, MetaWorld45
from benchmark.families.stepping import Array, Step, cores
from benchmark.interruption import ignoring_sigint

Answer = tuple[NDArray[np.float32], Array, NDArray[np.bool_]]
"""Observations (lane, observation), and rewards (lane,) and successes (lane,)."""


class Crew:
    """Some lanes, in one thread."""

    def __init__(self, family: MetaWorld45, tasks: Sequence[int]) -> None:
        models = {task: Model(CLASSES[task]) for task in dict.fromkeys(tasks)}
        self.family, self.tasks = family, list(tasks)
        self.arenas = [Arena(models[task]) for task in tasks]

    def start(self, lanes: Sequence[int], goals: Sequence[int]) -> tuple[NDArray[np.float32], Array]:
        """Begin episodes in these lanes; returns their observations (lane, 39) and targets (lane, 3)."""
        vectors = [
            self.family.goal_vector(self.tasks[lane], goal) for lane, goal in zip(lanes, goals, strict=True)
        ]
        seen = [self.arenas[lane].start(vector) for lane, vector in zip(lanes, vectors, strict=True)]
        return np.stack(seen), np.stack([self.arenas[lane].target for lane in lanes])

    def step(self, actions: Array) -> Answer:
        """One control step of all lanes."""
        results = [arena.step(action) for arena, action in zip(self.arenas, actions, strict=True)]
        seen, rewards, successes = zip(*results, strict=True)
        return np.stack(seen), np.array(rewards), np.array(successes)

    def keep(self, lanes: Sequence[int]) -> None:
        """Drop all lanes but these."""
        self.tasks, self.arenas = [self.tasks[k] for k in lanes], [self.arenas[k] for k in lanes]


def _serve(family: MetaWorld45, tasks: Sequence[int], parent: "Connection[Any, Any]") -> None:
    """A process: a crew that does what the parent asks, until the parent is gone or closes the connection."""
    ignoring_sigint()
    crew = Crew(family, tasks)
    with suppress(EOFError, OSError):
        while True:
            name, arguments = parent.recv()
            parent.send(getattr(crew, name)(*arguments))


class RemoteCrew:
    """A crew in a process of its own; `ask`, then `answer`."""

    def __init__(self, family: MetaWorld45, tasks: Sequence[int]) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(family, tasks, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, name: str, *arguments: Any) -> None:
        """Let the crew do something; an error shows when it is to answer."""
        with suppress(OSError):
            self._connection.send((name, arguments))

    def answer(self) -> Any:
        """What the crew answers; raises RunError where its process has ended."""
        try:
            return self._connection.recv()
        except (EOFError, OSError) as error:
            raise RunError(
                "a process that simulates ml45 has ended unasked; its message, if any, is above. If there is none, "
                "look whether there is enough memory: each process takes about 150 MB and 20 MB per task."
            ) from error

    def close(self) -> None:
        """End the process."""
        self._connection.close()
        self._process.join()


class LocalCrew:
    """The same for a crew in the calling thread."""

    def __init__(self, family: MetaWorld45, tasks: Sequence[int]) -> None:
        self._crew = Crew(family, tasks)
        self._answer: Any = None

    def ask(self, name: str, *arguments: Any) -> None:
        """Let the crew do something."""
        self._answer = getattr(self._crew, name)(*arguments)

    def answer(self) -> Any:
        """What the crew answers."""
        return self._answer

    def close(self) -> None:
        """Nothing to end."""


class MetaWorldSimulation:
    """Lanes of `ml45`; lane i simulates task `tasks[i]`. The actions reach Meta-World in 64 bits."""

    def __init__(
        self, family: MetaWorld45, tasks: Sequence[int] | NDArray[np.int64], threads: int | None = None
    ) -> None:
        """`threads`: processes that step (default: all cores; 0: the calling thread)."""
        numbers = [int(task) for task in tasks]
        processes = min(cores() if threads is None else threads, len(numbers))
        parts = np.array_split(np.arange(len(numbers)), max(1, processes))
        kind = RemoteCrew if processes > 1 or (threads and len(numbers) > 1) else LocalCrew
        self._lanes = parts  # per crew, the numbers of its lanes
        self._crews = [kind(family, [numbers[lane] for lane in part]) for part in parts]
        self._count = len(numbers)
        self._seen = np.zeros((self._count, family.observation_size), np.float32)
        self.hidden: Array = np.zeros((self._count, 3))

    @property
    def lanes(self) -> int:
        """Number of lanes."""
        return self._count

    def reset(self, qpos: Array, qvel: Array) -> NDArray[np.float32]:
        """Begin episodes with the goals of these numbers, (lane, 1); returns observations (lane, 39)."""
        return self.restart(np.arange(self._count), qpos, qvel)

    def restart(self, lanes: NDArray[np.int64], qpos: Array, qvel: Array) -> NDArray[np.float32]:
        """The same in these lanes only; returns the observations of all lanes."""
        goals = {int(lane): int(goal) for lane, goal in zip(lanes, qpos[:, 0], strict=True)}
        chosen = [[k for k, lane in enumerate(own) if int(lane) in goals] for own in self._lanes]
        for crew, own, local in zip(self._crews, self._lanes, chosen, strict=True):
            if local:
                crew.ask("start", local, [goals[int(own[k])] for k in local])
        for crew, own, local in zip(self._crews, self._lanes, chosen, strict=True):
            if local:
                self._seen[own[local]], self.hidden[own[local]] = crew.answer()
        return self._seen.copy()

    def step(self, actions: NDArray[np.floating]) -> Step:
        """One control step of all lanes with actions (lane, 4) in [-1, 1]; never terminates."""
        exact = np.asarray(actions, dtype=np.float64)
        rewards, successes = np.zeros(self._count), np.zeros(self._count, np.bool_)
        for crew, own in zip(self._crews, self._lanes, strict=True):
            crew.ask("step", exact[own])
        for crew, own in zip(self._crews, self._lanes, strict=True):
            self._seen[own], rewards[own], successes[own] = crew.answer()
        return Step(self._seen.copy(), rewards, np.zeros(self._count, np.bool_), successes)

    def keep(self, lanes: NDArray[np.int64]) -> None:
        """Drop all lanes but these, in this order."""
        place = {int(lane): number for number, lane in enumerate(lanes)}
        crews, kept = [], []
        for crew, own in zip(self._crews, self._lanes, strict=True):
            local = [k for k, lane in enumerate(own) if int(lane) in place]
            if local:
                crew.ask("keep", local)
                crew.answer()
                crews.append(crew)
                kept.append(np.array([place[int(own[k])] for k in local]))
            else:
                crew.close()
        self._crews, self._lanes, self._count = crews, kept, len(lanes)
        self._seen, self.hidden = self._seen[lanes], self.hidden[lanes]

    def close(self) -> None:
        """End the processes."""
        for crew in self._crews:
            crew.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
